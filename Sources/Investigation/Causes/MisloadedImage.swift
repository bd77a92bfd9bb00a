import GuestImage
import QEMU
import X86

/// `boot.multiboot-addresses`: what is executed is the guest's image, put where its Multiboot header says and not where it was linked to be.
struct MisloadedImage: CauseOfDeath {
  static let manuals: [ManualPage] = []

  private let header: MultibootHeader
  private let loadAddress: UInt64
  private let fault: FirstFault
  let isDecided: Bool

  /// The header's magic number in memory shows that the image lies there; without memory, that RIP is where the image was not linked to be.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard let instant = fault.instant, let image = scene.image,
      let header = image.withContents({ MultibootHeader(inFile: $0) }), header.isWrong,
      let address = header.fields["load_addr"], instant.state.instructionAddress.rawValue &- address < image.fileSize
    else { return nil }
    if let memory = scene.memory {
      guard let bytes = try? memory.bytes(at: PhysicalAddress(address), count: 4),
        UInt32(littleEndian: bytes[...]) == MultibootHeader.magic
      else { return nil }
      isDecided = true
    } else {
      guard image.place(of: instant.state.instructionAddress.rawValue) == nil else { return nil }
      isDecided = false
    }
    (self.fault, self.header, loadAddress) = (fault, header, address)
  }

  var id: String { MultibootAddresses.id }
  var title: String { MultibootAddresses.title }

  private func field(_ name: String) -> String { (header.fields[name] ?? 0).hexadecimal }

  var summary: String {
    "The Multiboot header's flags, \(field("flags")), have bit 16 set: the loader used its load_addr, \(field("load_addr")), and entry_addr, \(field("entry_addr")), and the image lies at \(loadAddress.hexadecimal)\(isDecided ? ", where its header is now" : ""). It was linked to be elsewhere. What then ran there died at its \(fault.exception.name)."
  }

  var remedies: [Remedy] { MultibootAddresses.remedies }
}
