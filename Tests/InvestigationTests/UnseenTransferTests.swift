import GuestImage
import Investigation
import QEMU
import Testing
import X86

/// Far transfers of which a log has the error code, and nothing the tables and the stack.
@Suite("far transfers by a log")
struct UnseenTransferTests {
  private static func scene(
    _ vector: UInt8, _ code: UInt32, listing lines: [CodeListing.Line], _ state: ProcessorState
  ) -> Scene {
    func event(_ vector: UInt8, _ code: UInt32) -> QEMUMessage {
      var interrupt = InterruptLog(vector: ExceptionVector(rawValue: vector), errorCode: code)
      interrupt.isSoftware = false
      interrupt.programCounter = state.rip
      return .interrupt(interrupt)
    }
    func check(_ old: UInt8?, _ new: UInt8) -> QEMUMessage {
      .exceptionCheck(old: old.map { ExceptionVector(rawValue: $0) }, new: ExceptionVector(rawValue: new))
    }
    let messages: [QEMUMessage] = [
      .codeListing(CodeListing(lines: lines, isOfGuest: true)), check(nil, vector), event(vector, code),
      check(vector, 13), event(8, 0), check(8, 13), .tripleFault,
    ]
    var scene = Scene()
    scene.accelerator = Sourced(.tcg, .commandLine)
    scene.processors = [Story.processor(state)]
    scene.log = messages.enumerated().map { Sourced($1, .log(name: "log", line: $0)) }
    return scene
  }

  // MARK: Call gates

  private static let call: [UInt8] = [0x9A, 0, 0, 0, 0, 0x4B, 0]

  struct GateCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let code: UInt32
    /// What the cause says; nil for no cause.
    let words: String?
    var change: @Sendable (inout ProcessorState) -> Void = { _ in }
  }

  static let gates: [GateCase] = [
    GateCase(testDescription: "SS0 is null", code: 0, words: "is null (#TS)"),
    GateCase(testDescription: "SS0 is bad", code: 0x20, words: "0x20, names no stack segment"),
    GateCase(testDescription: "the TSS is too short", code: 0x30, words: "holds no TSS that has it"),
    GateCase(testDescription: "what is called is a TSS that is not whole", code: 0x48, words: nil),
    GateCase(testDescription: "a task's selectors are loaded", code: 0, words: nil) {
      $0.cs.limit = 0
      $0.cs.attributes = []
    },
    GateCase(testDescription: "a kernel has no inner level", code: 0, words: nil) { $0.currentPrivilegeLevel = 0 },
  ]

  @Test("#TS at a CALL from an outer level is that of the gate's stack", arguments: gates)
  func gate(_ gate: GateCase) {
    var guest = FlatGuest()
    guest.becomeUser()
    guest.state.currentPrivilegeLevel = 3
    gate.change(&guest.state)
    let verdict = Investigator.verdict(
      on: Self.scene(
        10, gate.code, listing: [CodeListing.Line(address: FlatGuest.code, bytes: Self.call)], guest.state))
    #expect(verdict.cause?.id == gate.words.map { _ in "segment.call-gate-stack" })
    if let words = gate.words {
      #expect(verdict.cause?.summary.contains(words) == true, "\(String(describing: verdict.cause))")
      #expect(verdict.cause?.confidence == .likely)
    }
  }

  // MARK: Returns

  struct ReturnCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The instruction in front of it.
    let push: [UInt8]
    var instruction: [UInt8] = [0xCB]
    var code: UInt32 = 0
    let isExplained: Bool
  }

  static let returns: [ReturnCase] = [
    ReturnCase(testDescription: "a constant", push: [0x68, 0x61, 0, 0x10, 0], isExplained: true),
    ReturnCase(testDescription: "a register", push: [0x50], isExplained: true),
    ReturnCase(
      testDescription: "IRET, of which five words count", push: [0x50], instruction: [0xCF], isExplained: false),
    ReturnCase(testDescription: "a register with something in its upper half", push: [0x51], isExplained: false),
    ReturnCase(testDescription: "with REX.W", push: [0x50], instruction: [0x48, 0xCB], isExplained: false),
    ReturnCase(testDescription: "another selector is refused", push: [0x50], code: 0x18, isExplained: false),
    ReturnCase(testDescription: "no push", push: [0x90], isExplained: false),
  ]

  @Test("a far return of 32 bits behind a push of 64 finds a null selector", arguments: returns)
  func farReturn(_ test: ReturnCase) {
    let start: UInt64 = 0x10_0000
    var state = SmallGuest().state
    state.rip = start + UInt64(test.push.count)
    state.generalPurpose.rax = 0x10_0061
    state.generalPurpose.rcx = 0x8_0010_0061
    let lines = [
      CodeListing.Line(address: start, bytes: test.push), CodeListing.Line(address: state.rip, bytes: test.instruction),
    ]
    let verdict = Investigator.verdict(on: Self.scene(13, test.code, listing: lines, state))
    let isExplained = verdict.cause?.summary.contains("CS is the upper half of the first word") == true
    #expect(isExplained == test.isExplained, "\(String(describing: verdict.cause))")
    if isExplained {
      #expect(verdict.cause?.id == "segment.bad-code-selector")
      #expect(verdict.cause?.confidence == .likely)
    }
  }
}
