import GuestImage
import GuestMemory
import Investigation
import QEMU
import Testing
import X86

/// Logs of a triple fault at an address where the guest's image has nothing, by a read of what RAX leads to.
@Suite("astray by a log")
struct StrayExecutionTests {
  struct Place: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let pointer: UInt64
    var listing: [UInt8] = []
    /// Nil where nothing decides.
    let cause: String?
  }

  static let places: [Place] = [
    Place(testDescription: "where an entry point may be", pointer: 0x40_0000, cause: "execution.zeroes"),
    Place(
      testDescription: "inside of what may be code that was copied", pointer: 0x40_000A, cause: "paging.not-present"),
    Place(testDescription: "where trampolines are put", pointer: 0x8000, cause: nil),
    Place(testDescription: "inside of a trampoline", pointer: 0x800A, cause: "paging.not-present"),
    Place(testDescription: "zeroes by a listing", pointer: 0x800A, listing: [0, 0], cause: "execution.zeroes"),
    Place(testDescription: "behind the machine's memory", pointer: 0x1000_0004, cause: "execution.outside-ram"),
  ]

  @Test("zeroes are told by where they are, or by a listing", arguments: places)
  func astray(_ place: Place) throws {
    var state = SmallGuest().state
    state.rip = place.pointer
    state.generalPurpose.rax = 0x90_0000_0000
    state.cr2 = 0x90_0000_0000
    var interrupt = InterruptLog(vector: .pageFault, errorCode: 0)
    interrupt.isSoftware = false
    interrupt.programCounter = place.pointer
    interrupt.cr2 = state.cr2
    var end = InterruptLog(vector: .doubleFault, errorCode: 0)
    end.programCounter = place.pointer
    var messages: [QEMUMessage] = [
      .exceptionCheck(old: nil, new: .pageFault), .interrupt(interrupt),
      .exceptionCheck(old: .pageFault, new: .generalProtection), .interrupt(end),
      .exceptionCheck(old: .doubleFault, new: .generalProtection), .tripleFault,
    ]
    if !place.listing.isEmpty {
      let line = CodeListing.Line(address: place.pointer, bytes: place.listing)
      messages.insert(.codeListing(CodeListing(lines: [line], isOfGuest: true)), at: 0)
    }
    var scene = Scene()
    scene.accelerator = Sourced(.tcg, .commandLine)
    scene.commandLine = QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-m", "128"])
    scene.processors = [Story.processor(state)]
    scene.log = messages.enumerated().map { Sourced($1, .log(name: "log", line: $0)) }
    let table = state.gdtr.base.rawValue
    scene.image = try GuestImage(of: [
      SmallSegment(at: table & ~0xFFF, flags: 6, contents: [UInt8](repeating: 1, count: 4096), size: 4096)
    ])
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == place.cause)
    #expect(cause.map { $0.confidence == .likely } != false)
  }
}

/// Guests that were looked at while they went on through nothing.
@Suite("going on through nothing")
struct LostInNothingTests {
  /// What is said of a guest that was seen at these places, of which all but the page at 100000H is zeroes, or none where it is beyond 2 MiB.
  private func judge(
    _ pointers: [UInt64], change: (inout SmallGuest) -> Void = { _ in },
    atLast: (inout ProcessorState) -> Void = { _ in }
  ) -> (isSuspected: Bool, cause: String?, hangs: Bool) {
    var guest = SmallGuest()
    guest.memory.store([0xFF, 0xD0], at: 0x10_0000)
    for page in UInt64(0x20)..<0x30 {
      _ = guest.memory.insert(page: [UInt8](repeating: 0, count: 4096), at: PhysicalAddress(page << 12))
      _ = guest.memory.insert(hole: .unbacked, at: PhysicalAddress(0x20_0000 + page << 12))
      _ = guest.memory.insert(hole: .device, at: PhysicalAddress(0x30_0000 + page << 12))
    }
    change(&guest)
    var scene = guest.scene
    scene.ending = .stalled
    scene.log = []
    scene.watched = pointers.map { pointer in
      var state = guest.state
      state.rip = pointer
      if pointer == pointers.last { atLast(&state) }
      return WatchedMoment(processors: [Story.processor(state)])
    }
    scene.processors = scene.watched.last?.processors ?? []
    let verdict = Investigator.verdict(on: scene)
    return (Hang.isSuspected(scene.watched), verdict.cause?.id, verdict.outcome == .hung)
  }

  private static let steps = (UInt64(0)..<9).map { $0 << 12 + 0x800 }

  @Test("RIP alone changes, where there is no memory, or zeroes")
  func lost() {
    let outside = judge(Self.steps.map { 0x22_0000 + $0 })
    #expect(outside.isSuspected && outside.hangs)
    #expect(outside.cause == "execution.outside-ram")
    let zeroes = judge(Self.steps.map { 0x2_0000 + $0 })
    #expect(zeroes.isSuspected && zeroes.hangs)
    #expect(zeroes.cause == "execution.zeroes")
  }

  @Test("one that was seen among code, or whose registers change, is not lost")
  func goesOn() {
    #expect(judge(Self.steps.map { 0x2_0000 + $0 } + [0x10_0000]).cause == nil)
    let changing = judge(Self.steps.map { 0x22_0000 + $0 }) { _ in
    } atLast: {
      $0.generalPurpose.rbx = 1
    }
    #expect(!changing.isSuspected)
    // A device may well have code.
    #expect(!judge(Self.steps.map { 0x32_0000 + $0 }).hangs)
  }
}
