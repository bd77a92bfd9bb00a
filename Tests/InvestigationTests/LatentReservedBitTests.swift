import Investigation
import QEMU
import Testing
import X86

@Suite("A guest that lives and would die elsewhere")
struct LatentReservedBitTests {
  private func scene(pdpte: UInt64, guestHasPages: Bool) -> Scene {
    var scene = Scene(ending: .exited(status: 1))
    scene.accelerator = Sourced(.tcg, .qmp("query-kvm"))
    scene.commandLine = Story.commandLine()
    scene.guestFeatures = Sourced([.pdpe1gb: guestHasPages], .qmp("feature-words"))
    scene.samples = [Story.processor()]
    scene.memory = Story.memory(pml4e: 0x103023, pdpte: pdpte)
    return scene
  }

  @Test("a 1 GiB page in use, without pdpe1gb, is warned of")
  func warned() throws {
    let verdict = Investigator.verdict(on: scene(pdpte: 0xa3, guestHasPages: false))
    #expect(verdict.outcome == .ended)
    #expect(verdict.cause == nil)
    let warning = try #require(verdict.warnings.first)
    #expect(warning.cause.id == "paging.reserved-bit")
    #expect(warning.cause.confidence == .likely)
    #expect(warning.condition.contains("shadow paging"))
    #expect(warning.condition.contains("before Linux 5.14"))
    #expect(warning.walk?.levels.last?.entryAddress == PhysicalAddress(0x103000))
    #expect(warning.remedies.first?.change == "-cpu Haswell,+pdpe1gb")
  }

  @Test("none is, with pdpe1gb, with 2 MiB pages, or in an entry that nobody used")
  func notWarned() {
    #expect(Investigator.verdict(on: scene(pdpte: 0xa3, guestHasPages: true)).warnings.isEmpty)
    #expect(Investigator.verdict(on: scene(pdpte: 0x104023, guestHasPages: false)).warnings.isEmpty)
    var unused = scene(pdpte: 0x104023, guestHasPages: false)
    var memory = Story.memory(pml4e: 0x103023, pdpte: 0x104023)
    memory.store(0x4000_0083, at: 0x103008)
    unused.memory = memory
    #expect(Investigator.verdict(on: unused).warnings.isEmpty)
  }

  @Test("tables that the guest left are not looked at: their memory may hold anything now")
  func leftTables() {
    var scene = scene(pdpte: 0xa3, guestHasPages: false)
    var memory = Story.memory(pml4e: 0x103023, pdpte: 0xa3)
    memory.store(0x105023, at: 0x104000)
    memory.store(0x106023, at: 0x105000)
    memory.store(0xe3, at: 0x106000)
    scene.memory = memory
    scene.samples = [Story.processor(), Story.processor(Story.state(cr3: 0x104000))]
    #expect(Investigator.verdict(on: scene).warnings.isEmpty)
    scene.samples.reverse()
    #expect(Investigator.verdict(on: scene).warnings.count == 1)
  }

  @Test("a table that leads to itself does not keep the search going")
  func selfMap() {
    let verdict = Investigator.verdict(on: scene(pdpte: 0x102023, guestHasPages: false))
    #expect(verdict.warnings.isEmpty)
  }

  @Test("without a sample of the registers there is nothing to look at")
  func noSample() {
    var scene = scene(pdpte: 0xa3, guestHasPages: false)
    scene.samples = []
    #expect(Investigator.verdict(on: scene).warnings.isEmpty)
  }
}
