import GuestMemory
import Investigation
import QEMU
import Testing
import X86

@Suite("Checkups")
struct CheckupTests {
  @Test("a healthy guest has nothing")
  func healthy() {
    let checkup = SmallGuest().checkup
    #expect(checkup.faults.map(\.words) == [])
    #expect(checkup.unjudged == [])
  }

  /// One thing broken, and what must be found: the id, how bad it is, and a part of the words.
  struct Break: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let id: String
    let severity: LatentFault.Severity
    let words: String
    let change: @Sendable (inout SmallGuest) -> Void
  }

  static let breaks: [Break] = [
    Break(testDescription: "no IDT", id: "interrupt.idt-limit", severity: .fatal, words: "limit 0x0") {
      $0.state.idtr.limit = 0
    },
    Break(testDescription: "an IDT that ends before #PF", id: "interrupt.idt-limit", severity: .note, words: "#PF") {
      $0.state.idtr.limit = 14 * 16 - 1
    },
    Break(testDescription: "an IDT that ends before #DF", id: "interrupt.idt-limit", severity: .fatal, words: "#DF") {
      $0.state.idtr.limit = 8 * 16 - 1
    },
    Break(
      testDescription: "an IDT that is not mapped", id: "interrupt.idt-not-mapped", severity: .fatal,
      words: "0x40000000"
    ) {
      $0.state.idtr.base = LinearAddress(0x4000_0000)
    },
    Break(
      testDescription: "a gate that is not present", id: "interrupt.gate-not-present", severity: .note, words: "#GP"
    ) {
      $0.setGate(13, SmallGuest.gate(present: false))
    },
    Break(testDescription: "a gate of no type", id: "interrupt.gate-type", severity: .note, words: "type 0x2") {
      $0.setGate(6, SmallGuest.gate(type: 2))
    },
    Break(
      testDescription: "a gate with a null selector", id: "interrupt.gate-selector", severity: .note, words: "is null"
    ) {
      $0.setGate(14, SmallGuest.gate(selector: 0))
    },
    Break(
      testDescription: "a gate beyond the GDT", id: "interrupt.gate-selector", severity: .note,
      words: "beyond the limit"
    ) {
      $0.setGate(14, SmallGuest.gate(selector: 0x30))
    },
    Break(
      testDescription: "a gate with a data segment", id: "interrupt.gate-selector", severity: .note,
      words: "no code segment"
    ) {
      $0.setGate(14, SmallGuest.gate(selector: 0x10))
    },
    Break(
      testDescription: "a handler that is not mapped", id: "interrupt.handler-not-mapped", severity: .note,
      words: "0x800000"
    ) {
      $0.setGate(14, SmallGuest.gate(to: 0x80_0000))
    },
    Break(
      testDescription: "an interrupt stack without a TSS", id: "interrupt.tss-missing", severity: .note, words: "IST1"
    ) {
      $0.setGate(14, SmallGuest.gate(ist: 1))
      $0.state.tr.selector = SegmentSelector(rawValue: 0)
    },
    Break(testDescription: "an interrupt stack of nothing", id: "interrupt.ist-stack", severity: .fatal, words: "IST2")
    {
      $0.setGate(8, SmallGuest.gate(ist: 2))
      $0.memory.store(0x8000_0000, at: SmallGuest.tss + 44)
    },
    Break(testDescription: "CS gone from the GDT", id: "segment.descriptor-gone", severity: .warning, words: "CS, 0x28")
    {
      $0.state.cs.selector = SegmentSelector(rawValue: 0x28)
    },
    Break(
      testDescription: "CS another in the GDT", id: "segment.descriptor-changed", severity: .warning, words: "CS, 0x20"
    ) {
      $0.state.cs.selector = SegmentSelector(rawValue: 0x20)
    },
    Break(testDescription: "a stack of nothing", id: "stack.not-writable", severity: .fatal, words: "0x800000") {
      $0.state.generalPurpose.rsp = 0x80_0000
    },
    Break(testDescription: "a read-only stack", id: "stack.not-writable", severity: .fatal, words: "#PF") {
      $0.memory.store(0xE1, at: SmallGuest.directory)
    },
    Break(testDescription: "user pages without a TSS", id: "interrupt.tss-missing", severity: .note, words: "user mode")
    {
      $0.memory.store(SmallGuest.pdpt | 0x27, at: SmallGuest.pml4)
      $0.memory.store(SmallGuest.directory | 0x27, at: SmallGuest.pdpt)
      $0.memory.store(0x20_00E7, at: SmallGuest.directory + 8)
      $0.state.tr.limit = 0
    },
    Break(
      testDescription: "a table where nothing is", id: "paging.table-outside-ram", severity: .warning,
      words: "0x8000000023"
    ) {
      $0.memory.store(0x80_0000_0023, at: SmallGuest.pdpt + 8)
      $0.memory.insert(hole: .unbacked, at: PhysicalAddress(0x80_0000_0000))
    },
    Break(testDescription: "no write protection", id: "paging.write-protect-off", severity: .note, words: "CR0.WP") {
      $0.state.cr0.remove(.writeProtect)
    },
    Break(testDescription: "no SSE", id: "cpu.feature-not-enabled", severity: .note, words: "OSFXSR") {
      $0.state.cr4.remove(.osFXSR)
    },
  ]

  @Test("one thing broken is found, and nothing else", arguments: breaks)
  func breaking(_ broken: Break) throws {
    var guest = SmallGuest()
    broken.change(&guest)
    let faults = guest.checkup.faults
    let fault = try #require(faults.first { $0.id == broken.id }, "\(faults.map(\.words))")
    #expect(fault.severity == broken.severity, "\(fault.words)")
    #expect(fault.words.contains(broken.words), "\(fault.words)")
    #expect(!fault.remedy.isEmpty)
    // A stack or an IDT that is not there can be found in more than one way; nothing else may be.
    #expect(Set(faults.map(\.id)).subtracting([broken.id]).isEmpty, "\(faults.map(\.words))")
  }

  @Test("an entry that walkers disagree on names them")
  func dividedWalkers() throws {
    var guest = SmallGuest()
    guest.memory.store(0x4000_00E3, at: SmallGuest.pdpt + 8)
    let fault = try #require(guest.checkup.faults.first)
    #expect(fault.id == "paging.reserved-bit" && guest.checkup.faults.count == 1)
    #expect(fault.refusing.map(\.description) == ["kvm-6.19", "kvm-5.13-tdp"])
    #expect(fault.accepting.map(\.description) == ["tcg-10.2"])
    #expect(fault.words.contains("what runs the guest here does not check it"))
  }

  @Test("an entry that was never used is not judged")
  func unused() {
    var guest = SmallGuest()
    guest.memory.store(0x4000_0083, at: SmallGuest.pdpt + 8)
    #expect(guest.checkup.faults == [])
  }

  @Test("PAE: bits that TCG ignores and processors refuse")
  func pdptes() throws {
    var guest = SmallGuest()
    guest.state.efer = []
    guest.state.cs = SmallGuest.segment(8, 0x00CF_9B00)
    guest.state.cr3 = SmallGuest.pdpt
    guest.memory.store(0x00CF_9B00_0000_FFFF, at: SmallGuest.gdt + 8)
    for vector in UInt64(0)..<32 { guest.memory.store(SmallGuest.gate(), at: SmallGuest.idt + 8 * vector) }
    guest.state.idtr.limit = 32 * 8 - 1
    for index in UInt64(1)..<4 { guest.memory.store(0, at: SmallGuest.pdpt + 8 * index) }
    guest.memory.store(SmallGuest.directory | 1, at: SmallGuest.pdpt)
    #expect(guest.checkup.faults.map(\.words) == [])
    guest.memory.store(SmallGuest.directory | 3, at: SmallGuest.pdpt)
    let fault = try #require(guest.checkup.faults.first { $0.id == "paging.pae-pdpte" })
    #expect(fault.accepting.map(\.description) == ["tcg-10.2"])
  }

  @Test("what cannot be judged is said")
  func unjudged() {
    var scene = SmallGuest().scene
    scene.memory = nil
    #expect(!Checkup(of: scene).unjudged.isEmpty)
    scene = SmallGuest().scene
    scene.processors[0].state.cr0.remove(.protectionEnable)
    #expect(Checkup(of: scene).unjudged.contains { $0.contains("real mode") })
    scene = SmallGuest().scene
    scene.processors = []
    #expect(!Checkup(of: scene).unjudged.isEmpty)
  }
}
