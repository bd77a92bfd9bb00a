import Investigation
import QEMU
import Testing
import X86

/// Numeric exceptions of x87 and SSE that nobody handles.
@Suite("arithmetic.floating-point")
struct FloatingPointErrorTests {
  /// What is said of a guest that died at an instruction without an IDT.
  private func cause(
    _ code: [UInt8], log: [QEMUMessage] = [], interruptsOn: Bool = false, isNumericErrorOn: Bool = true
  ) -> String? {
    var guest = SmallGuest()
    guest.memory.store(code + [0x90], at: 0x10_0000)
    guest.state.idtr.limit = 0
    if interruptsOn { guest.state.rflags.insert(.interruptEnable) } else { guest.state.rflags.remove(.interruptEnable) }
    if isNumericErrorOn { guest.state.cr0.insert(.numericError) } else { guest.state.cr0.remove(.numericError) }
    var scene = guest.scene
    scene.ending = .reset
    scene.log = (log + [.tripleFault]).enumerated().map { Sourced($1, .log(name: "log", line: $0)) }
    return Investigator.verdict(on: scene).cause?.id
  }

  private static let fwait: [UInt8] = [0x9B]
  private static let fninit: [UInt8] = [0xDB, 0xE3]

  @Test("an x87 instruction that waits, where nothing else can be the reason")
  func waiting() {
    #expect(cause(Self.fwait) == "arithmetic.floating-point")
    #expect(cause([0xD9, 0xE8]) == "arithmetic.floating-point")
    #expect(cause(Self.fninit) == nil)
    #expect(cause(Self.fwait, isNumericErrorOn: false) == nil)
    #expect(cause([0x90]) == nil)
  }

  @Test("a log names it by its vector", arguments: [16, 19] as [UInt8])
  func logged(_ vector: UInt8) {
    var interrupt = InterruptLog(vector: ExceptionVector(rawValue: vector), errorCode: 0)
    interrupt.isSoftware = false
    interrupt.programCounter = 0x10_0000
    var end = InterruptLog(vector: .doubleFault, errorCode: 0)
    end.programCounter = 0x10_0000
    let log: [QEMUMessage] = [
      .exceptionCheck(old: nil, new: ExceptionVector(rawValue: vector)), .interrupt(interrupt),
      .exceptionCheck(old: ExceptionVector(rawValue: vector), new: .generalProtection), .interrupt(end),
      .exceptionCheck(old: .doubleFault, new: .generalProtection),
    ]
    // divss xmm0, xmm1
    #expect(cause([0xF3, 0x0F, 0x5E, 0xC1], log: log, interruptsOn: true) == "arithmetic.floating-point")
  }
}
