import Investigation
import QEMU
import Testing
import X86

/// Which exception of a log of `-d int` the triple fault began with.
@Suite("logs of exceptions")
struct LoggedExceptionTests {
  private static func event(_ vector: UInt8, _ code: UInt32 = 0, cr2: UInt64? = nil) -> QEMUMessage {
    var interrupt = InterruptLog(vector: ExceptionVector(rawValue: vector), errorCode: code)
    interrupt.isSoftware = false
    interrupt.programCounter = 0x10_0000
    interrupt.cr2 = cr2
    return .interrupt(interrupt)
  }

  private static func check(_ old: UInt8?, _ new: UInt8) -> QEMUMessage {
    .exceptionCheck(old: old.map { ExceptionVector(rawValue: $0) }, new: ExceptionVector(rawValue: new))
  }

  private static let end = [check(13, 13), event(8), check(8, 13), .tripleFault]

  static let chains: [(String, [QEMUMessage], vector: UInt8?)] = [
    ("one exception", [check(nil, 13), event(13)] + end, 13),
    ("a benign one without a gate", [check(nil, 6), event(6), check(nil, 13), event(13, 6 << 3 | 2)] + end, 6),
    (
      "a page fault that was handled, and another exception at the same instruction",
      [check(nil, 14), event(14, 0, cr2: 0x40_0000), check(nil, 13), event(13)] + end, 13
    ),
    (
      "a breakpoint that was handled, and a selector that cannot be loaded",
      [check(nil, 3), event(3), check(nil, 13), event(13, 0x40)] + end, 13
    ),
    ("only a double fault", [event(8), check(8, 13), .tripleFault], nil),
  ]

  private func scene(_ messages: [QEMUMessage]) -> Scene {
    var guest = SmallGuest()
    guest.state.idtr.limit = 0xFFF
    var scene = guest.scene
    scene.memory = nil
    scene.log = messages.enumerated().map { Sourced($1, .log(name: "log", line: $0)) }
    return scene
  }

  @Test("what was handled is not the beginning", arguments: chains)
  func beginning(_ chain: (String, [QEMUMessage], vector: UInt8?)) {
    let verdict = Investigator.verdict(on: scene(chain.1))
    #expect(verdict.outcome == .died)
    #expect(verdict.fault?.vector.rawValue == chain.vector, "\(chain.0)")
  }

  @Test("of a device's interrupt, the exception that came of it tells what kept it from its handler")
  func interrupts() {
    func cause(_ vector: UInt8, _ second: UInt8, _ code: UInt32, cr2: UInt64? = nil) -> Cause? {
      let messages = [
        .hardwareInterrupt(vector: vector, isVirtual: false), Self.event(vector), Self.check(nil, second),
        Self.event(second, code, cr2: cr2), Self.check(second, 13), Self.event(8), Self.check(8, 13), .tripleFault,
      ]
      return Investigator.verdict(on: scene(messages)).cause
    }
    #expect(cause(8, 13, 0x82)?.id == "interrupt.pic-not-remapped")
    #expect(cause(32, 11, 0x202)?.id == "interrupt.gate-not-present")
    #expect(cause(32, 14, 0, cr2: SmallGuest.idt + 0x100)?.id == "interrupt.idt-not-mapped")
    #expect(cause(32, 13, 0x102)?.id == "interrupt.bad-gate")
  }

  @Test("a supervisor's access in user mode is not taken for the instruction's own")
  func implicitAccess() {
    var scene = scene([Self.check(nil, 14), Self.event(14, 0, cr2: 0x4000_0000)] + Self.end)
    scene.processors[0].state.currentPrivilegeLevel = 3
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause?.summary.contains("The instruction") != true, "\(String(describing: verdict.cause))")
    #expect(!verdict.chain.contains { $0.text.contains("fails") })
  }
}
