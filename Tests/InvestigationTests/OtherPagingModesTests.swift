import GuestMemory
import Investigation
import KVM
import Testing
import X86

/// paging.reserved-bit in 32-bit and PAE paging, as KVM recorded it and as the registers and the memory have it.
@Suite("paging.reserved-bit outside long mode")
struct OtherPagingModesTests {
  /// A mode, the entries of the walk of 400000H from the root down, the bits that are wrong in the last, and a part of why.
  struct Death: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let cr4: CR4
    let levels: [(level: Int, entry: UInt64)]
    let bits: UInt64
    let why: String
  }

  static let deaths = [
    Death(
      testDescription: "PAE, a bit that 4-level paging ignores", cr4: .physicalAddressExtension,
      levels: [(3, 0x10_3001), (2, 0x10_4003), (1, 0x0020_0000_0040_0003)], bits: 1 << 53, why: "PAE paging"),
    Death(
      testDescription: "PAE, a large page that is not aligned", cr4: .physicalAddressExtension,
      levels: [(3, 0x10_3001), (2, 0x40_2083)], bits: 1 << 13, why: "2 MiB page"),
    Death(
      testDescription: "32-bit, bit 21 of a large page", cr4: .pageSizeExtensions, levels: [(2, 0x60_0083)],
      bits: 1 << 21,
      why: "4 MiB page"),
  ]

  private static func state(_ death: Death) -> ProcessorState {
    var state = Story.state(rip: 0x40_0000, cr3: 0x10_2000, cr2: 0x40_0000, efer: [], idtLimit: 0)
    state.cr4 = death.cr4
    return state
  }

  @Test("from a trace", arguments: deaths)
  func recorded(_ death: Death) throws {
    var scene = Scene()
    scene.trace = Story.records(
      [.entry(vcpu: 0, rip: 0x40_0000), .pagetableWalk(address: LinearAddress(0x40_0000), access: .fetch)]
        + death.levels.map { .pagingElement(entry: $0.entry, level: $0.level) }
        + [
          .walkerError([.present, .reserved]),
          .injectException(vector: .pageFault, errorCode: 9, isReinjected: false),
          .userspaceExit(reason: .shutdown, errno: nil),
        ])
    scene.processors = [Story.processor(Self.state(death))]
    try check(death, Investigator.verdict(on: scene))
  }

  @Test("from registers and memory", arguments: deaths)
  func reenacted(_ death: Death) throws {
    var memory = SparseMemory()
    var table: UInt64 = 0x10_2000
    for (level, entry) in death.levels {
      let index: UInt64 =
        death.cr4 == .pageSizeExtensions ? 1 : level == 3 ? 0 : level == 2 ? 2 : 0
      let size: UInt64 = death.cr4 == .pageSizeExtensions ? 4 : 8
      memory.store(
        (0..<Int(size)).map { UInt8(truncatingIfNeeded: entry >> (8 * UInt64($0))) }, at: table + size * index)
      table = entry & 0xFFFF_F000
    }
    var scene = Scene(ending: .reset)
    scene.memory = memory
    scene.physicalAddressBits = Sourced(36, .qmp("test"))
    scene.processors = [Story.processor(Self.state(death))]
    try check(death, Investigator.verdict(on: scene))
  }

  private func check(_ death: Death, _ verdict: Verdict) throws {
    #expect(verdict.cause?.id == "paging.reserved-bit", "\(verdict.ending) \(verdict.observations.map(\.text))")
    let level = try #require(verdict.walk?.levels.last)
    #expect(level.offendingBits == death.bits)
    #expect(level.entryAddress != nil)
    #expect(verdict.cause?.summary.contains(death.why) == true, "\(verdict.cause?.summary ?? "")")
  }
}
