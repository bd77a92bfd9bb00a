import Foundation
import GuestImage
import X86

/// The images under Tests/Fixtures.
enum Fixtures {
  static let oneGiBPages = "one-gib-pages/guest.elf"
  static let higherHalf = "guest-image/higher-half.elf"
  static let inlined = "guest-image/inlined.elf"

  static func bytes(_ name: String) throws -> [UInt8] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures")
    return Array(try Data(contentsOf: folder.appending(path: name)))
  }

  static func image(_ name: String) throws -> GuestImage {
    try GuestImage(bytes(name))
  }
}

/// A processor in 64-bit mode with flat segments, to be changed by a test.
func processor() -> ProcessorState {
  let code = Segment(
    selector: SegmentSelector(rawValue: 8), base: 0, limit: .max, attributes: [.present, .codeOrData, .code, .long])
  let data = Segment(
    selector: SegmentSelector(rawValue: 16), base: 0, limit: .max, attributes: [.present, .codeOrData, .big])
  let table = DescriptorTableRegister(base: LinearAddress(0), limit: 0)
  return ProcessorState(
    generalPurpose: GeneralPurposeRegisters(), rip: 0, rflags: [], es: data, cs: code, ss: data, ds: data, fs: data,
    gs: data, ldtr: data, tr: data, gdtr: table, idtr: table, cr0: [.protectionEnable, .paging], cr2: 0, cr3: 0,
    cr4: [.physicalAddressExtension], efer: [.longModeEnable, .longModeActive])
}
