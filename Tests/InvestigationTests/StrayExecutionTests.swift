import GuestImage
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
