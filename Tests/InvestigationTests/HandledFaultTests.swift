import GuestMemory
import QEMU
import Testing
import X86

@testable import Investigation

/// Handlers that end the guest: the fault is told by the frame that they left on the stack.
@Suite("Faults whose handler does not return")
struct HandledFaultTests {
  /// A guest that is halted in its handler.
  struct Ending: CustomTestStringConvertible {
    var what: String
    /// The instruction at which the frame returns.
    var code: [UInt8]
    /// The words below the frame, the error code first.
    var pushed: [UInt64] = []
    var cr2: UInt64 = 0
    var flags: UInt64 = 0x46
    /// How far RSP of the frame is off.
    var shift: UInt64 = 0
    /// Nil where the hang alone is named.
    var cause: String?
    var hasObservation = true

    var testDescription: String { what }
  }

  static let hole: UInt64 = 0x4000_0000
  /// mov [rax], rbx; mov rbx, [rax]; mov rbx, [rax+rcx]; mov [rcx*8], rbx
  static let write: [UInt8] = [0x48, 0x89, 0x18]
  static let read: [UInt8] = [0x48, 0x8B, 0x18]
  static let twoRegisters: [UInt8] = [0x48, 0x8B, 0x1C, 0x08]
  static let indexed: [UInt8] = [0x48, 0x89, 0x1C, 0xCD, 0, 0, 0, 0]
  /// div ecx
  static let division: [UInt8] = [0xF7, 0xF1]

  static let endings = [
    Ending(what: "a write", code: write, pushed: [2], cr2: hole, cause: "paging.not-present"),
    Ending(what: "another error code", code: write, pushed: [0], cr2: hole, cause: nil),
    Ending(what: "a page that is mapped", code: write, pushed: [2], cr2: 0x8000, cause: nil),
    Ending(
      what: "a read, its register saved", code: read, pushed: [0, 14, hole], cr2: hole, cause: "paging.not-present"),
    Ending(what: "a read, its register lost", code: read, pushed: [0, 14], cr2: hole, cause: nil),
    Ending(what: "two unknown registers", code: twoRegisters, pushed: [0, 14, hole], cr2: hole, cause: nil),
    Ending(what: "an index", code: indexed, pushed: [2], cr2: hole, cause: "paging.not-present"),
    Ending(what: "an index with a remainder", code: indexed, pushed: [2], cr2: hole + 1, cause: nil),
    Ending(what: "a null pointer, by its vector", code: read, pushed: [0, 14, 0], cause: "paging.null-pointer"),
    Ending(what: "#GP, with CR2 never written", code: read, pushed: [0, 13, 0], cause: nil),
    Ending(what: "UD2", code: [0x0F, 0x0B], cause: "instruction.trap"),
    Ending(what: "DIV with interrupts off", code: division, cause: "arithmetic.divide-error"),
    Ending(what: "DIV, or an interrupt there", code: division, flags: 0x246, cause: nil),
    Ending(what: "a far return to data", code: [0x48, 0xCB], pushed: [0x10], cause: "segment.bad-code-selector"),
    Ending(what: "no frame", code: write, pushed: [2], cr2: hole, shift: 16, cause: nil, hasObservation: false),
    Ending(what: "an interrupt", code: [0x90], flags: 0x202, cause: nil),
  ]

  @Test("what the handler was called for is the reason", arguments: endings)
  func judges(_ ending: Ending) {
    let verdict = Investigator.verdict(on: Self.scene(ending))
    #expect(verdict.outcome == .hung)
    #expect(verdict.cause?.id == ending.cause ?? "hang.interrupts-off", "\(verdict)")
    let isTold = verdict.observations.contains { $0.text.hasPrefix("The stack has what an exception") }
    #expect(isTold == (ending.cause == nil && ending.hasObservation))
    guard ending.cause != nil else { return }
    #expect(verdict.cause?.confidence == .likely)
    #expect(verdict.fault?.instructionPointer == LinearAddress(0x10_0000))
    #expect(verdict.chain.first?.text.hasPrefix("The stack has the frame of #") == true)
  }

  @Test("a program's fault, on the stack that the TSS names")
  func faultOfProgram() {
    var guest = Self.guest()
    guest.memory.store(0x00AF_FB00_0000_FFFF, at: SmallGuest.gdt + 0x20)
    guest.state.generalPurpose.rsp = 0x8700
    guest.state.cr2 = 0x10_0000
    // #PF, a fetch by the user of a present page; RIP, CS, RFLAGS, RSP, SS.
    for (index, word) in ([0x15, 0x10_0000, 0x23, 0x202, 0x1234, 0x1B] as [UInt64]).enumerated() {
      guest.memory.store(word, at: 0x87D0 + 8 * UInt64(index))
    }
    let verdict = Investigator.verdict(on: Self.stalled(guest))
    #expect(verdict.cause?.id == "paging.supervisor-page", "\(verdict)")
  }

  @Test(
    "three words of a 32-bit stack are a frame only where the handler has pushed the exception's number",
    arguments: [
      ([], 0x0F, "hang.interrupts-off"), ([0, 6], 0x0F, "instruction.trap"), ([6, 0], 0x0F, "instruction.trap"),
      ([0, 13], 0x0F, "hang.interrupts-off"), ([], nil, "hang.interrupts-off"), ([0, 6], nil, "execution.outside-ram"),
    ] as [([UInt32], UInt8?, String)])
  func shortFrame(_ pushed: [UInt32], _ code: UInt8?, _ cause: String) {
    var guest = FlatGuest()
    guest.memory.store([0x0F, 0x0B], at: FlatGuest.code)
    guest.state.rip = FlatGuest.code + 0x100
    guest.memory.store([0xF4], at: FlatGuest.code + 0xFF)
    guest.state.isHalted = true
    guest.state.rflags.remove(.interruptEnable)
    _ = guest.memory.insert(hole: .unbacked, at: PhysicalAddress(Self.hole))
    let pointer = code == nil ? UInt32(Self.hole) : UInt32(FlatGuest.code)
    let top = guest.state.generalPurpose.rsp - 0x100
    guest.state.generalPurpose.rsp = top
    // The error code or number next to the frame is the last.
    for (index, word) in (pushed.reversed() + [pointer, 8, 0x46]).enumerated() {
      guest.memory.store([0, 8, 16, 24].map { UInt8(truncatingIfNeeded: word >> $0) }, at: top + 4 * UInt64(index))
    }
    var scene = guest.scene(.tcg)
    scene.ending = .stalled
    #expect(Investigator.verdict(on: scene).cause?.id == cause)
  }

  /// Halted in the handler, with page 0 not mapped.
  private static func guest() -> SmallGuest {
    var guest = SmallGuest()
    for page in UInt64(1)..<512 { guest.memory.store(page << 12 | 0x63, at: 0xA000 + 8 * page) }
    guest.memory.store(0xA023, at: SmallGuest.directory)
    guest.memory.store(0, at: 0x9000)
    guest.state.rip = SmallGuest.handler + 1
    guest.state.isHalted = true
    guest.state.generalPurpose.rsp = 0x8F00
    return guest
  }

  private static func stalled(_ guest: SmallGuest) -> Scene {
    var scene = guest.scene
    scene.ending = .stalled
    return scene
  }

  private static func scene(_ ending: Ending) -> Scene {
    var guest = guest()
    guest.memory.store(ending.code, at: 0x10_0000)
    guest.state.cr2 = ending.cr2
    let frame: UInt64 = 0x8FD8
    for (index, word) in [0x10_0000, 8, ending.flags, 0x9000 + ending.shift, 0x10].enumerated() {
      guest.memory.store(word, at: frame + 8 * UInt64(index))
    }
    for (index, word) in ending.pushed.enumerated() { guest.memory.store(word, at: frame - 8 * UInt64(index + 1)) }
    // What a far return finds there.
    guest.memory.store(0x10_0000, at: 0x9000)
    guest.memory.store(0x10, at: 0x9008)
    return stalled(guest)
  }
}
