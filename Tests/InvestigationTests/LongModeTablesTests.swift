import GuestMemory
import Investigation
import QEMU
import Testing
import X86

/// paging.long-mode-tables: paging was turned on without EFER.LME, over tables of four levels.
@Suite("tables of long mode in PAE paging")
struct LongModeTablesTests {
  /// PML4 at 102000H, PDPT at 103000H, page directory at 104000H, whose first page of 2 MiB is at `page`.
  private static func memory(page: UInt64 = 0) -> SparseMemory {
    var memory = SparseMemory()
    memory.store(0x10_3003, at: 0x10_2000)
    memory.store(0x10_4003, at: 0x10_3000)
    memory.store(page | 0x83, at: 0x10_4000)
    memory.store([0x0F, 0x01, 0x15, 0, 0, 0x10, 0], at: 0x10_006D)
    return memory
  }

  private static func verdict(
    efer: EFER, lm: Bool?, _ memory: SparseMemory, rip: UInt64 = 0x10_006D, hasGiBPages: Bool = false
  ) -> Verdict {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.tcg, .qmp("query-kvm"))
    scene.logsTripleFaults = true
    scene.log = [Sourced(.tripleFault, .log(name: "QEMU's log", line: 1))]
    scene.guestFeatures = lm.map { Sourced([.lm: $0, .pdpe1gb: hasGiBPages], .qmp("feature-words")) }
    scene.memory = memory
    scene.processors = [Story.processor(Story.state(rip: rip, efer: efer, idtLimit: 0))]
    return Investigator.verdict(on: scene)
  }

  @Test(
    "the verdict tells a processor without long mode from a kernel that does not turn it on",
    arguments: [
      (false, "no 64-bit mode", Remedy.Kind.commandLine), (true, "set before CR0.PG", .guest),
      (nil, "set before CR0.PG", .guest),
    ] as [(Bool?, String, Remedy.Kind)])
  func misread(_ lm: Bool?, _ why: String, _ remedy: Remedy.Kind) throws {
    let verdict = Self.verdict(efer: [], lm: lm, Self.memory())
    #expect(verdict.cause?.id == "paging.long-mode-tables", "\(verdict.cause?.summary ?? verdict.ending)")
    #expect(verdict.cause?.summary.contains(why) == true)
    #expect(verdict.remedies.first?.kind == remedy)
  }

  @Test("tables that are wrong in long mode, too, and tables in long mode are something else")
  func otherwise() {
    #expect(Self.verdict(efer: [], lm: true, Self.memory(page: 0x20_0000)).cause?.id != "paging.long-mode-tables")
    let active = Self.verdict(efer: [.longModeEnable, .longModeActive], lm: true, Self.memory())
    #expect(active.cause?.id != "paging.long-mode-tables")
  }

  @Test("tables of PAE paging that map the instruction are read as they are meant")
  func tablesOfPAE() {
    var memory = Self.memory()
    memory.store(0x10_3001, at: 0x10_2000)
    memory.store(0x83, at: 0x10_3000)
    #expect(Self.verdict(efer: [], lm: true, memory).cause?.id != "paging.long-mode-tables")
  }

  @Test("a page of 2 MiB at 0 in tables of PAE paging is no page of 1 GiB that would map what lies behind it")
  func missingPageOfPAE() {
    for pdpte in [0x10_3001, 0x10_3003] as [UInt64] {
      var memory = SparseMemory()
      memory.store(pdpte, at: 0x10_2000)
      memory.store(0x83, at: 0x10_3000)
      let verdict = Self.verdict(efer: [], lm: true, memory, rip: 0x40_0000, hasGiBPages: true)
      #expect(verdict.cause?.id != "paging.long-mode-tables", "\(verdict.cause?.summary ?? verdict.ending)")
    }
  }
}
