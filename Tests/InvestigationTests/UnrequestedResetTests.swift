import Investigation
import QEMU
import Testing
import X86

@Suite("a reset of which nothing was recorded")
struct UnrequestedResetTests {
  /// A guest under KVM that was reset with RIP at these bytes.
  private func scene(
    _ bytes: [UInt8], before: [UInt8] = [0x90, 0x90, 0x90], options: [String] = [],
    _ change: (inout SmallGuest) -> Void = { _ in }
  ) -> Scene {
    var guest = SmallGuest()
    guest.accelerator = .kvm
    guest.memory.store(before, at: 0x10_0000 - UInt64(before.count))
    guest.memory.store(bytes, at: 0x10_0000)
    guest.state.idtr.limit = 0
    change(&guest)
    var scene = guest.scene
    scene.ending = .reset
    scene.log = []
    scene.commandLine = QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-accel", "kvm"] + options)
    return scene
  }

  private static let withInterrupts = RFLAGS(rawValue: 0x202)

  @Test("an instruction that may raise what the IDT cannot deliver, and no other explanation")
  func possibleException() {
    let verdict = Investigator.verdict(on: scene([0x0F, 0x32]) { $0.state.generalPurpose.rcx = 0x19C })  // rdmsr
    #expect(verdict.outcome == .died)
    #expect(verdict.ending.contains("most likely it died of a triple fault"))
    #expect(verdict.cause?.id == "cpu.unknown-msr")
    #expect(verdict.cause?.confidence == .likely)
  }

  @Test("an MSR that KVM does not know is no reason where it ignores those; a value may still be one")
  func ignoredMSR() {
    for (access, cause) in [([0x0F, 0x32], nil), ([0x0F, 0x30], "cpu.unknown-msr")] as [([UInt8], String?)] {
      var observed = scene(access) { $0.state.generalPurpose.rcx = 0x19C }
      observed.host.ignoresUnknownMSRs = Sourced(true, .host("/sys/module/kvm/parameters/ignore_msrs"))
      #expect(Investigator.verdict(on: observed).cause?.id == cause)
    }
  }

  @Test(
    "an instruction that raises nothing leaves an interrupt, where interrupts are on",
    arguments: [[0xEB, 0xFE], [0xF3, 0x90]] as [[UInt8]])  // JMP to itself, PAUSE
  func interrupt(_ instruction: [UInt8]) {
    let halted = scene(instruction, before: [0x90, 0x90, 0xF4]) { $0.state.rflags = Self.withInterrupts }
    let cause = Investigator.verdict(on: halted).cause
    #expect(cause?.id.hasPrefix("interrupt.") == true)
    #expect(cause?.confidence == .likely)
    #expect(Investigator.verdict(on: scene([0xEB, 0xFE])).outcome == .undetermined)
  }

  @Test(
    "what may have asked for a reset, or resets by itself, leaves it open",
    arguments: [
      ([0x90, 0x90, 0xEE], []), ([0x90, 0xE6, 0x60], []), ([0x90, 0xF3, 0x6E], []), ([0x90, 0x0F, 0x30], []),
      ([0x0F, 0x01, 0xC1], []), ([0x90, 0x90, 0x90], ["-device", "i6300esb"]),
      ([0x90, 0x90, 0x90], ["-M", "microvm"]),
      ([0x90, 0x90, 0x90], ["-global", "ICH9-LPC.noreboot=false"]),
    ] as [([UInt8], [String])])
  func otherReasons(before: [UInt8], options: [String]) {
    let observed = scene([0xEB, 0xFE], before: before, options: options) { $0.state.rflags = Self.withInterrupts }
    #expect(Investigator.verdict(on: observed).cause == nil)
  }

  @Test("under TCG, with another processor, in SMM, or without code, it is left open")
  func unknownPlace() {
    var emulated = scene([0xEB, 0xFE]) { $0.state.rflags = Self.withInterrupts }
    #expect(Investigator.verdict(on: emulated).outcome == .died)
    emulated.accelerator = Sourced(.tcg, .commandLine)
    #expect(Investigator.verdict(on: emulated).cause == nil)
    var several = scene([0xEB, 0xFE]) { $0.state.rflags = Self.withInterrupts }
    several.processors += several.processors
    #expect(Investigator.verdict(on: several).cause == nil)
    let managing = scene([0xEB, 0xFE]) {
      $0.state.rflags = Self.withInterrupts
      $0.state.isInSMM = true
    }
    #expect(Investigator.verdict(on: managing).cause == nil)
    var blind = scene([0xEB, 0xFE]) { $0.state.rflags = Self.withInterrupts }
    blind.memory = nil
    #expect(Investigator.verdict(on: blind).cause == nil)
  }
}
