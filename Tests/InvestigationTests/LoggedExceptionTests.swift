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

  /// UD2 at 100000H behind a copy that the listing shows: `mov edi, …; mov ecx, 0x80; rep movsb`.
  private func trap(copyTo destination: [UInt8], between: [CodeListing.Line] = []) -> Verdict {
    let copy =
      [
        CodeListing.Line(address: 0x0F_0000, bytes: [0xBF] + destination),
        CodeListing.Line(address: 0x0F_0005, bytes: [0xB9, 0x80, 0, 0, 0]),
      ] + between + [CodeListing.Line(address: 0x0F_0010, bytes: [0xF3, 0xA4])]
    let code = [CodeListing.Line(address: 0x10_0000, bytes: [0x0F, 0x0B])]
    let chain = [Self.check(nil, 6), Self.event(6), Self.check(nil, 13), Self.event(13, 6 << 3 | 2)]
    return Investigator.verdict(
      on: scene(
        [
          .codeListing(CodeListing(lines: copy, isOfGuest: true)),
          .codeListing(CodeListing(lines: code, isOfGuest: true)),
        ]
          + chain + Self.end))
  }

  @Test("a trap that was copied to where it is executed is not called the guest's own, nor anything else")
  func copiedTrap() {
    let words = "`rep movsb` at 0xf0010 wrote the 128 bytes from 0xfffc0 on"
    let copied = trap(copyTo: [0xC0, 0xFF, 0x0F, 0])
    #expect(copied.cause == nil)
    #expect(copied.observations.contains { $0.text.contains(words) })
    let elsewhere = trap(copyTo: [0x00, 0x10, 0x10, 0])
    #expect(elsewhere.cause?.id == "instruction.trap")
    #expect(!elsewhere.observations.contains { $0.text.contains("rep movsb") })
    // With a count that nothing shows, it is not known what was written.
    let unknown = trap(
      copyTo: [0xC0, 0xFF, 0x0F, 0], between: [CodeListing.Line(address: 0x0F_000A, bytes: [0x89, 0xC1])])
    #expect(unknown.cause?.id == "instruction.trap")
  }
}
