import QEMU
import SeededRandom
import Testing

@Suite("Linux's setup header")
struct LinuxSetupHeaderTests {
  /// The fields of a Debian kernel, 6.1.0-53-cloud-amd64, and changes to them.
  private func sector(_ changes: [Int: [UInt8]] = [:]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: LinuxSetupHeader.size)
    let fields: [Int: [UInt8]] = [
      0x1F1: [39], 0x1F4: [0x20, 0x7B, 0x0D, 0], 0x1FE: [0x55, 0xAA], 0x202: Array("HdrS".utf8) + [0x0F, 0x02],
      0x211: [1], 0x230: [0, 0, 0x20, 0, 1, 0x15, 0x7F, 0], 0x258: [0, 0, 0, 1, 0, 0, 0, 0], 0x260: [0, 0x70, 0x37, 3],
    ]
    for (offset, value) in Array(fields) + Array(changes) {
      bytes.replaceSubrange(offset..<offset + value.count, with: value)
    }
    return bytes
  }

  @Test("the sizes and the place of a kernel")
  func fields() throws {
    let header = try #require(LinuxSetupHeader(sector()))
    #expect(header.version == 0x20F)
    #expect(header.setupSize == 20480)
    #expect(header.protectedModeSize == 0xD7B200)
    #expect(header.isOf64Bits)
    #expect(header.runningPlace == .init(start: 0x100_0000, size: 0x337_7000))
    #expect(header.runningPlace?.end == 0x437_7000)
  }

  @Test(
    "a file is cut short by more than what rounding to paragraphs leaves",
    arguments: [(0, false), (15, false), (16, true)])
  func length(_ missing: UInt64, _ isCutShort: Bool) throws {
    let header = try #require(LinuxSetupHeader(sector()))
    let size = header.setupSize + header.protectedModeSize - missing
    #expect(LinuxKernelFile(header: header, size: size).isCutShort == isCutShort)
  }

  @Test("a kernel that is not relocatable runs at the address that it prefers; else the alignment counts")
  func place() {
    let low = [0x258: [0, 0, 0x10, 0, 0, 0, 0, 0] as [UInt8]]
    #expect(LinuxSetupHeader(sector(low))?.runningPlace?.start == 0x20_0000)
    #expect(LinuxSetupHeader(sector(low.merging([0x234: [0]]) { $1 }))?.runningPlace?.start == 0x10_0000)
    #expect(LinuxSetupHeader(sector([0x206: [0x09, 0x02]]))?.runningPlace == nil)
    #expect(LinuxSetupHeader(sector([0x260: [0, 0, 0, 0]]))?.runningPlace == nil)
    #expect(LinuxSetupHeader(sector([0x25C: [1] as [UInt8]]))?.runningPlace == nil)
  }

  @Test("what is no header is none, and no bytes are too strange")
  func others() {
    #expect(LinuxSetupHeader(Array(sector().dropLast())) == nil)
    #expect(LinuxSetupHeader(sector([0x202: [0]])) == nil)
    #expect(LinuxSetupHeader(sector([0x1FE: [0]])) == nil)
    var random = SeededGenerator(seed: 8)
    for _ in 0..<2000 {
      let fields = [0x1F1, 0x1F4, 0x206, 0x211, 0x230, 0x258, 0x260].map { offset in
        (offset, (0..<4).map { _ in UInt8.random(in: 0...255, using: &random) })
      }
      guard let header = LinuxSetupHeader(sector(Dictionary(uniqueKeysWithValues: fields))) else { continue }
      #expect(header.leastFileSize < 1 << 40)
      if let place = header.runningPlace { #expect(place.end <= 2 << 30) }
    }
  }
}
