import GuestImage
import Investigation
import QEMU
import Testing
import X86

/// What TCG lets pass and the processor of a run under KVM refuses.
@Suite("passed refusals")
struct PassedRefusalTests {
  /// An instruction that TCG executed, by two processors with `features` and with `there`.
  struct Step: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let code: [UInt8]
    let features: FeatureReport
    let there: FeatureReport
    /// Whether it is certain that the first run died there; nil where it cannot have.
    let isCertain: Bool?
    let change: @Sendable (inout FlatGuest) -> Void

    init(
      _ description: String, _ code: [UInt8], _ isCertain: Bool?, features: FeatureReport = [.la57: false],
      there: FeatureReport? = nil, _ change: @escaping @Sendable (inout FlatGuest) -> Void = { _ in }
    ) {
      testDescription = description
      self.code = code
      self.features = features
      self.there = there ?? features
      self.isCertain = isCertain
      self.change = change
    }
  }

  private static let writeCR4: [UInt8] = [0x0F, 0x22, 0xE0]
  private static let readMSR: [UInt8] = [0x0F, 0x32]
  private static let la57: UInt64 = 1 << 12

  private static func only(_ name: String) -> FeatureReport {
    FeatureReport(dictionaryLiteral: (ProcessorFeature.named(name)[0], true))
  }

  static let steps: [Step] = [
    Step("a bit that neither has", writeCR4, true) { $0.state.generalPurpose.rax = la57 },
    Step("a bit that only TCG has", writeCR4, nil, there: [.la57: true]) { $0.state.generalPurpose.rax = la57 },
    Step("a bit that only the first run's has", writeCR4, nil, features: [.la57: true], there: [.la57: false]) {
      $0.state.generalPurpose.rax = la57
    },
    Step("a value that all take", writeCR4, nil) { $0.state.generalPurpose.rax = 0 },
    Step("an MSR that may be there", readMSR, false) { $0.state.generalPurpose.rcx = 0x19C },
    Step("an MTRR", readMSR, nil) { $0.state.generalPurpose.rcx = 0x200 },
    Step("an MSR that comes with a feature", readMSR, nil, features: only("apic")) {
      $0.state.generalPurpose.rcx = 0x1B
    },
    Step("one of x2APIC mode, which need not be on", readMSR, false, features: only("x2apic")) {
      $0.state.generalPurpose.rcx = 0x802
    },
    Step("an instruction that cannot fail", [0x90], nil),
    Step("a handler for it", writeCR4, nil) {
      $0.state.generalPurpose.rax = la57
      $0.state.idtr.limit = 14 * 8 - 1
      $0.memory.store(0x0010_8E00_0008_0000, at: FlatGuest.idt + 13 * 8)
    },
  ]

  private static func refusal(_ step: Step, otherwise change: (inout FlatGuest) -> Void = { _ in }) -> PassedRefusal? {
    var guest = FlatGuest()
    guest.memory.store(step.code + [UInt8](repeating: 0x90, count: 16), at: FlatGuest.code)
    step.change(&guest)
    var scene = guest.scene(.kvm)
    scene.guestFeatures = Sourced(step.features, .qmp("feature-words"))
    var second = scene
    second.guestFeatures = Sourced(step.there, .qmp("feature-words"))
    let processor = Story.processor(guest.state)
    change(&guest)
    second.memory = guest.memory
    return PassedRefusal(at: processor, in: scene, second: second)
  }

  @Test("only what either run's processor refuses, without a handler", arguments: steps)
  func step(_ step: Step) {
    #expect(Self.refusal(step)?.isCertain == step.isCertain)
  }

  @Test("nobody comes past what is certain, so that nothing need show how far each run came; other code is not it")
  func progress() {
    let certain = Self.steps[0], possible = Self.steps[4]
    #expect(Self.refusal(certain) { $0.memory.store(7, at: FlatGuest.stack) } != nil)
    #expect(Self.refusal(possible) { $0.memory.store(7, at: FlatGuest.stack) } == nil)
    #expect(Self.refusal(certain) { $0.memory.store([0x90], at: FlatGuest.code) } == nil)
  }

  @Test("a listing's accesses of system registers and what is behind them, once each, from the boot sector on")
  func places() {
    let log = """
      0x000fec3d:  0f 22 c1                 movl     %ecx, %cr0
      ----------------
      IN:
      0x00007c00:  fa                       cli
      0x00007c01:  0f 22 c0                 movl     %eax, %cr0
      ----------------
      IN:
      0x00007c04:  0f 30                    wrmsr
      0x00007c06:  0f 20 c0                 movl     %cr0, %eax
      0x00007c09:  f4                       hlt
      ----------------
      IN:
      0x00007c01:  0f 22 c0                 movl     %eax, %cr0
      """
    let places = PassedRefusal.places(in: QEMULog.parse(log), of: nil)
    #expect(places.map(\.rawValue) == [0x7C01, 0x7C04, 0x7C06])
  }
}
