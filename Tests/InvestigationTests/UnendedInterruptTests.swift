import Investigation
import QEMU
import Testing
import X86

/// An interrupt that is never ended, told from those that are served.
@Suite("hang.interrupt-not-ended")
struct UnendedInterruptTests {
  private static let blocked = LocalAPICState(cpu: 0, inService: [0x30], requests: [0x30, 0x21])

  private static let masked = PICState(requests: 0, mask: 0xFF, levelTriggered: 0, firstVector: 0x20)

  /// What is said of a guest that was looked at so many times, in HLT unless other code is given.
  ///
  /// - Parameters:
  ///   - last: Its APIC at the last look, where that is another.
  ///   - change: What else is so at the last look, and what is known besides.
  private func judge(
    looks: Int = 9, code: [UInt8] = [0xF4, 0xEB, 0xFD], isHalted: Bool = true, _ apic: LocalAPICState = blocked,
    last: LocalAPICState? = nil, interruptsOn: Bool = true, pics: [PICState] = [masked], pins: [IOAPICPin] = [],
    log: String = "", change: (inout WatchedMoment) -> Void = { _ in }
  ) -> (isSuspected: Bool, cause: String?) {
    var guest = SmallGuest()
    guest.memory.store(code, at: 0x10_0000)
    guest.state.isHalted = isHalted
    if interruptsOn { guest.state.rflags.insert(.interruptEnable) } else { guest.state.rflags.remove(.interruptEnable) }
    var scene = guest.scene
    scene.ending = .stalled
    scene.log = Sourced.messages(of: QEMULog.parse(log), named: "log")
    scene.watched = (0..<looks).map { look in
      WatchedMoment(
        processors: scene.processors, interruptControllers: pics, pins: pins,
        localAPICs: [look == looks - 1 ? last ?? apic : apic])
    }
    change(&scene.watched[looks - 1])
    return (Hang.isSuspected(scene.watched), Investigator.verdict(on: scene).cause?.id)
  }

  @Test("the same vector in service at each look, and one that waits for its end")
  func blocked() {
    let found = judge()
    #expect(found.isSuspected)
    #expect(found.cause == "hang.interrupt-not-ended")
  }

  @Test(
    "a guest that waits for an interrupt gets on where nothing holds it back",
    arguments: [
      LocalAPICState(cpu: 0, inService: [], requests: []), LocalAPICState(cpu: 0, inService: [0x30], requests: []),
      LocalAPICState(cpu: 0, inService: [0x30], requests: [0x40]),
      LocalAPICState(cpu: 1, inService: [0x30], requests: [0x30]),
    ])
  func waits(_ apic: LocalAPICState) {
    #expect(judge(apic) == (false, nil))
    // At one look of nine is enough.
    #expect(judge(last: apic) == (false, nil))
  }

  @Test("few looks tell nothing, and with interrupts off the APIC is not the reason")
  func others() {
    #expect(judge(looks: 3).cause == nil)
    #expect(judge(interruptsOn: false).cause == "hang.interrupts-off")
  }

  @Test("a loop that looks at RAM waits, too; one that computes does not")
  func loops() {
    // 1: mov rax, [rip]; cmp rax, 100; jb 1b
    let waits: [UInt8] = [0x48, 0x8B, 0x05, 0, 0, 0, 0, 0x48, 0x83, 0xF8, 0x64, 0x72, 0xF3]
    #expect(judge(code: waits, isHalted: false).cause == "hang.interrupt-not-ended")
    // 1: inc rax; cmp rax, rbx; jb 1b
    let computes: [UInt8] = [0x48, 0xFF, 0xC0, 0x48, 0x39, 0xD8, 0x72, 0xF8]
    #expect(judge(code: computes, isHalted: false).cause == nil)
  }

  @Test("a guest that other interrupts reach, or may reach, is not called hanging")
  func reached() {
    #expect(judge { $0.processors[0].state.rip &+= 1 }.cause == nil)
    #expect(judge(pics: []).cause == nil)
    #expect(judge(pics: [PICState(requests: 0, mask: 0xFE, levelTriggered: 0, firstVector: 0x20)]).cause == nil)
    #expect(judge(pins: [IOAPICPin(number: 2, entry: 0x40, isRequested: false)]).cause == nil)
    #expect(judge(pins: [IOAPICPin(number: 2, entry: 0x1_0040, isRequested: false)]).cause != nil)
    var apic = Self.blocked
    apic.timerVector = 0x30
    #expect(judge(apic).cause == "hang.interrupt-not-ended")
    apic.timerVector = 0x40
    #expect(judge(apic).cause == nil)
  }

  @Test("an interrupt of a higher class in the log shows that the guest gets on", arguments: [0x30, 0x3F, 0x40, 0xEC])
  func logged(_ vector: Int) {
    let number = String(vector, radix: 16)
    let log = """
      Servicing hardware INT=0x\(number)
           1: v=\(number) e=0000 i=0 cpl=0 IP=0008:0000000000100000 pc=0000000000100000 SP=0010:0000000000108000 env->regs[R_EAX]=0000000000000000
      """
    #expect((judge(log: log).cause == nil) == (vector >= 0x40))
  }

  private static let quietAPIC = LocalAPICState(cpu: 0, inService: [], requests: [])

  private static func first(_ requests: UInt8, mask: UInt8, inService: UInt8, firstLine: UInt8 = 0) -> PICState {
    PICState(
      requests: requests, mask: mask, levelTriggered: 0, firstVector: 0x20, inService: inService, firstLine: firstLine)
  }

  private static func second(_ requests: UInt8 = 0, mask: UInt8 = 0xFF, inService: UInt8 = 0) -> PICState {
    PICState(
      requests: requests, mask: mask, levelTriggered: 0, firstVector: 0x28, inService: inService, isSecond: true)
  }

  @Test(
    "the 8259 holds back what it has in service, and what comes after that",
    arguments: [
      // The timer's interrupt; a key behind the timer; a line of the second controller, of which only the first one was told.
      [first(0x01, mask: 0xFE, inService: 0x01), second()],
      [first(0x02, mask: 0xFC, inService: 0x01), second()],
      [first(0x00, mask: 0xFB, inService: 0x00), second(0x01, mask: 0xFE, inService: 0x01)],
      [first(0x04, mask: 0xFB, inService: 0x04), second(0x01, mask: 0xFE, inService: 0x00)],
      // KVM's timer asks for nothing more; a line of the second controller likewise.
      [first(0x00, mask: 0xFE, inService: 0x01), second()],
      [first(0x00, mask: 0xFB, inService: 0x04), second(0x00, mask: 0xFE, inService: 0x01)],
    ])
  func pic(_ pics: [PICState]) {
    let found = judge(Self.quietAPIC, pics: pics)
    #expect(found.isSuspected)
    #expect(found.cause == "hang.interrupt-not-ended")
  }

  @Test("a processor that is not halted may get on without an interrupt that nobody asks for")
  func runsOn() {
    let pics = [Self.first(0x00, mask: 0xFE, inService: 0x01), Self.second()]
    // CMP [100000H], 0; JE back.
    let loop: [UInt8] = [0x80, 0x3C, 0x25, 0x00, 0x00, 0x10, 0x00, 0x00, 0x74, 0xF6]
    #expect(judge(code: loop, isHalted: false, Self.quietAPIC, pics: pics).cause == nil)
    let asks = [Self.first(0x01, mask: 0xFE, inService: 0x01), Self.second()]
    #expect(judge(code: loop, isHalted: false, Self.quietAPIC, pics: asks).cause == "hang.interrupt-not-ended")
  }

  @Test(
    "the 8259 delivers what nothing in service holds back",
    arguments: [
      [first(0x01, mask: 0xFE, inService: 0x00), second()],
      // The timer comes before the keyboard, whose handler sent no end; masked, it holds back nothing in the special mask mode.
      [first(0x02, mask: 0xFC, inService: 0x02), second()],
      [first(0x02, mask: 0xFD, inService: 0x01), second()],
      // After a rotation line 1 comes first.
      [first(0x01, mask: 0xFC, inService: 0x01, firstLine: 1), second()],
      [first(0x00, mask: 0xFB, inService: 0x00), second(0x02, mask: 0xFC, inService: 0x02)],
      [first(0x01, mask: 0xFE, inService: 0x01)],
    ])
  func picOpen(_ pics: [PICState]) {
    #expect(judge(Self.quietAPIC, pics: pics) == (false, nil))
  }

  @Test("what the local APIC may deliver gets a guest on whose 8259 delivers nothing")
  func picAndOthers() {
    let pics = [Self.first(0x01, mask: 0xFE, inService: 0x01), Self.second()]
    var apic = Self.quietAPIC
    apic.timerVector = 0x30
    #expect(judge(apic, pics: pics).cause == nil)
    #expect(
      judge(Self.quietAPIC, pics: pics, pins: [IOAPICPin(number: 2, entry: 0x40, isRequested: false)]).cause == nil)
    #expect(judge(Self.quietAPIC, interruptsOn: false, pics: pics).cause == "hang.interrupts-off")
  }
}
