import Investigation
import KVM
import QEMU
import Testing
import X86

@Suite("paging.reserved-bit")
struct ReservedBitTests {
  // MARK: From a trace

  @Test("a trace alone proves the cause")
  func traceAlone() throws {
    var scene = Scene()
    scene.trace = Story.traceWithEPT
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    let cause = try #require(verdict.cause)
    #expect(cause.id == "paging.reserved-bit")
    #expect(cause.confidence == .proven)
    #expect(verdict.fault?.errorCode == 9)
    #expect(verdict.fault?.address == LinearAddress(0x133025))
    #expect(verdict.fault?.instructionPointer == LinearAddress(0x133025))
    let walk = try #require(verdict.walk)
    #expect(walk.root == nil)
    #expect(walk.levels.map(\.table) == ["PML4E", "PDPTE"])
    #expect(walk.levels.map(\.entryAddress) == [nil, PhysicalAddress(0xbf9000)])
    #expect(walk.levels.map(\.offendingBits) == [0, 0x80])
    #expect(verdict.remedies.first?.kind == .commandLine)
    #expect(verdict.remedies.first?.change == "-cpu MODEL,+pdpe1gb")
    #expect(verdict.remedies.first?.available == nil)
    #expect(verdict.observations.contains { $0.text.contains("before Linux 5.14") })
    #expect(verdict.observations.contains { $0.text.contains("(ec) are not those of the instruction") })
    #expect(verdict.missing.contains { $0.what.contains("registers") })
  }

  @Test("the registers of the same death complete it")
  func traceAndRegisters() throws {
    var scene = Scene()
    scene.trace = Story.traceWithEPT
    scene.processors = [Story.processor(Story.state(rip: 0x133025, cr3: 0xbf8000))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.confidence == .proven)
    #expect(verdict.walk?.root == 0xbf8000)
    #expect(verdict.walk?.levels.first?.entryAddress == PhysicalAddress(0xbf8000))
    #expect(verdict.evidence.contains { $0.text.contains("agree: RIP is 0x133025") })
    #expect(verdict.observations.contains { $0.text.contains("compatibility mode") })
  }

  @Test("registers of another death are not mixed in")
  func otherRegisters() {
    var scene = Scene()
    scene.trace = Story.traceWithEPT
    scene.processors = [Story.processor(Story.state(rip: 0x200000))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.walk?.root == nil)
    #expect(verdict.observations.contains { $0.text.contains("disagree") })
    #expect(!verdict.evidence.contains { $0.text.contains("agree: RIP") })
  }

  @Test("registers that KVM reset are named as such")
  func resetRegisters() {
    var state = Story.state(rip: 0xFFF0)
    state.cs.base = 0xFFFF_0000
    state.cs.selector = SegmentSelector(rawValue: 0xF000)
    state.cr0 = CR0(rawValue: 0x6000_0010)
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging()
    scene.processors = [Story.processor(state)]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.confidence == .proven)
    #expect(verdict.observations.contains { $0.text.contains("those of a reset processor") })
    #expect(!verdict.observations.contains { $0.text.contains("disagree") })
  }

  @Test(
    "what the trace shows of a processor that KVM reset is told: the thread's own last writes, behind the last hole")
  func beforeReset() {
    var state = Story.state(rip: 0xFFF0)
    state.cs.base = 0xFFFF_0000
    state.cs.selector = SegmentSelector(rawValue: 0xF000)
    state.cr0 = CR0(rawValue: 0x6000_0010)
    let writes: [KVMEvent] = [
      .controlRegister(isWrite: true, number: 3, value: 0x1000),
      .controlRegister(isWrite: true, number: 4, value: 0x20),
      .controlRegister(isWrite: true, number: 3, value: 0x10_2000),
      .controlRegister(isWrite: false, number: 3, value: 1),
      .msr(isWrite: true, index: 0xC000_0080, value: 0x100, faulted: false),
      .msr(isWrite: true, index: 0xC000_0080, value: 0xFFFF, faulted: true),
    ]
    var scene = Scene()
    scene.trace =
      Story.records(writes, from: 1000)
      + Story.records([.controlRegister(isWrite: true, number: 0, value: 1)], thread: 8)
      + Story.traceWithShadowPaging()
    scene.processors = [Story.processor(state)]
    func told() -> [String] {
      Investigator.verdict(on: scene).observations.map(\.text).filter {
        $0.hasPrefix("Before the reset") || $0.hasPrefix("The last value")
      }
    }
    #expect(
      told() == [
        "Before the reset RIP was 0x10006d, as the events up to the shutdown show",
        "The last value that the guest wrote to CR3 is 0x102000", "The last value that the guest wrote to CR4 is 0x20",
        "The last value that the guest wrote to EFER is 0x100",
      ])
    scene.traceHoles = [writes.count]
    #expect(told() == ["Before the reset RIP was 0x10006d, as the events up to the shutdown show"])
  }

  private static let reset = {
    var reset = Story.state(rip: 0xFFF0)
    reset.cs.base = 0xFFFF_0000
    reset.cs.selector = SegmentSelector(rawValue: 0xF000)
    reset.cr0 = CR0(rawValue: 0x6000_0010)
    return reset
  }()

  @Test("registers of a second run take the place of those of a reset only, and prove nothing by themselves")
  func secondRun() {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.memory = Story.memory(pdpte: 0)
    scene.processorsOfSecondRun = [Story.processor()]
    scene.processors = [Story.processor(Self.reset)]
    #expect(scene.hasLostRegisters == false)
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == "paging.code-not-mapped")
    #expect(verdict.cause?.confidence == .likely)
    #expect(verdict.observations.first?.text.contains("second run under TCG") == true)
    scene.processorsOfSecondRun = []
    #expect(scene.hasLostRegisters)
    #expect(Investigator.verdict(on: scene).cause == nil)
    scene.processorsOfSecondRun = [Story.processor()]
    scene.processors = [Story.processor(Story.state(rip: 0x20_0000))]
    #expect(!Investigator.verdict(on: scene).observations.contains { $0.text.contains("second run") })
  }

  @Test("what a probe kept of a processor that KVM reset is what is reenacted")
  func keptBeforeReset() throws {
    let reset = Self.reset
    var other = Story.processor(reset)
    other.index = 1
    let shutdown = Story.records(Story.shutdown(of: Story.state()))
    var scene = Scene()
    scene.memory = Story.memory(pdpte: 0)
    for processors in [[Story.processor(reset)], [Story.processor(reset), other], []] {
      scene.processors = processors
      scene.trace = shutdown
      let verdict = Investigator.verdict(on: scene)
      #expect(verdict.cause?.id == "paging.code-not-mapped", "\(verdict)")
      #expect(verdict.evidence.contains { $0.text.contains("agree: RIP is 0x10006d") })
      #expect(!verdict.observations.contains { $0.text.contains("Before the reset") })
      // A processor that ran again is no longer as it was when it shut down.
      scene.trace = shutdown + Story.records([.entry(vcpu: 0, rip: 0x1000)], from: 2_000_000_000)
      #expect(Investigator.verdict(on: scene).cause == nil)
    }
  }

  @Test(
    "without the registers, a supervisor's access may be the processor's own; a fetch or a user's access may not",
    arguments: [([], false), ([.write], false), ([.user], true), ([.fetch], true)] as [(PageFaultErrorCode, Bool)])
  func unknownAccess(_ access: PageFaultErrorCode, isProven: Bool) {
    let address = LinearAddress(0x4000_0000)
    var scene = Scene()
    scene.trace = Story.records([
      .entry(vcpu: 0, rip: 0x10006d), .pagetableWalk(address: address, access: access),
      .pagingElement(entry: 0x103007, level: 4), .pagingElement(entry: 0, level: 3), .walkerError(access),
      .injectException(vector: .pageFault, errorCode: access.rawValue, isReinjected: false),
      .userspaceExit(reason: .shutdown, errno: nil),
    ])
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == (access == .fetch ? "paging.code-not-mapped" : "paging.not-present"))
    #expect(cause?.confidence == (isProven ? .proven : .likely))
    #expect(cause?.summary.contains("or the delivery of an interrupt or exception at it") == !isProven)
  }

  @Test("a recorded walk of the IDT is of the interrupt's delivery, where the instruction makes no such access")
  func walkOfDelivery() {
    var state = Story.state(idtLimit: 0xFFF)
    state.idtr.base = LinearAddress(0xFFFF_8000_0010_0000)
    var scene = Scene()
    scene.memory = Story.memory()
    scene.guestFeatures = Sourced([.pdpe1gb: true], .qmp("feature-words"))
    scene.processors = [Story.processor(state)]
    scene.trace = Story.records([
      .injectInterrupt(vector: 0x20, isSoft: false, isReinjected: false), .entry(vcpu: 0, rip: 0x10006d),
      .pagetableWalk(address: LinearAddress(0xFFFF_8000_0010_0200), access: []), .pagingElement(entry: 0, level: 4),
      .walkerError([]), .injectException(vector: .pageFault, errorCode: 0, isReinjected: false),
      .userspaceExit(reason: .shutdown, errno: nil),
    ])
    #expect(Investigator.verdict(on: scene).cause?.id == "interrupt.idt-not-mapped")
    // Of another address than the delivery's, nothing is known but that it is not mapped.
    scene.trace[2].event = .pagetableWalk(address: LinearAddress(0xFFFF_8000_0020_0000), access: [])
    #expect(Investigator.verdict(on: scene).cause?.id == "paging.not-present")
  }

  @Test("the first fault is told from those that its delivery made")
  func chain() throws {
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging()
    scene.processors = [Story.processor()]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.ending == "The guest died of a triple fault.")
    #expect(verdict.fault?.address == LinearAddress(0x10006d))
    let steps = verdict.chain.map(\.text)
    #expect(
      steps == [
        "The instruction fetch at 0x10006d fails: 0x9 (P|RSVD)", "KVM injects #PF (0x9)",
        "The read at 0xe0 (the IDT's gate of #PF) fails: 0x9 (P|RSVD)", "KVM injects #DF (0x0)",
        "The read at 0x80 (the IDT's gate of #DF) fails: 0x9 (P|RSVD)",
        "KVM reports a triple fault to QEMU (KVM_EXIT_SHUTDOWN)",
      ])
    #expect(verdict.chain.allSatisfy { $0.source.time != nil })
  }

  @Test(
    "a handler that may have run unseen leaves a doubt, with EPT or NPT only",
    arguments: [("EPT_MISCONFIG", "TRIPLE_FAULT", Confidence.likely), ("PF excp", "shutdown", .proven)])
  func unseenHandler(_ first: String, _ last: String, _ confidence: Confidence) {
    func exit(_ reason: String) -> KVMEvent {
      .exit(KVMExit(vendor: nil, reasonName: reason, reason: nil, rip: 0x133025))
    }
    var scene = Scene()
    scene.trace = Story.records([
      exit(first), .pagetableWalk(address: LinearAddress(0x133025), access: .fetch),
      .pagingElement(entry: 0xbf9023, level: 4), .pagingElement(entry: 0xa3, level: 3),
      .walkerError([.present, .reserved]), .injectException(vector: .pageFault, errorCode: 9, isReinjected: false),
      .entry(vcpu: 0, rip: 0x133025), exit(last), .userspaceExit(reason: .shutdown, errno: nil),
    ])
    #expect(Investigator.verdict(on: scene).cause?.confidence == confidence)
  }

  // MARK: Which rule

  struct Rule: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var pdpte: UInt64
    var pml4e: UInt64 = 0x103003
    var mark: String
    var remedy: String
  }

  static let rules = [
    Rule(testDescription: "1 GiB page", pdpte: 0x83, mark: "bit 7", remedy: "-cpu Haswell,+pdpe1gb"),
    Rule(
      testDescription: "no-execute", pdpte: 1 << 63 | 0x104003, mark: "bit 63 reserved here: XD needs EFER.NXE",
      remedy: "set EFER.NXE"),
    Rule(
      testDescription: "above MAXPHYADDR", pdpte: 1 << 45 | 0x104003, mark: "bit 45", remedy: "keep the address"),
  ]

  @Test("a reenactment alone names the rule, and is likely", arguments: rules)
  func reenactmentAlone(_ rule: Rule) throws {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.kvm, .qmp("query-kvm"))
    scene.commandLine = Story.commandLine()
    scene.processors = [Story.processor()]
    scene.memory = Story.memory(pdpte: rule.pdpte)
    scene.host = Story.shadowPagingHost(offersGiBPages: true)
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause?.id == "paging.reserved-bit")
    #expect(verdict.cause?.confidence == .likely)
    #expect(verdict.walk?.levels.last?.verdict.contains(rule.mark) == true)
    #expect(verdict.remedies.first?.change.contains(rule.remedy) == true)
    #expect(verdict.chain.last?.text.contains("a triple fault follows") == true)
    #expect(verdict.missing.contains { $0.what.contains("kvmmmu") })
  }

  @Test(
    "a recorded triple fault with the predicted CR2 makes it proven, and with another it began with another fault",
    arguments: [(0x10006d as UInt64, true), (0x80, true), (0x1234, false)])
  func recordedTripleFault(_ cr2: UInt64, _ agrees: Bool) {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.tcg, .qmp("query-kvm"))
    scene.commandLine = Story.commandLine()
    scene.processors = [Story.processor(Story.state(cr2: cr2))]
    scene.memory = Story.memory(pdpte: 1 << 63 | 0x104003)
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    #expect(Investigator.verdict(on: scene).cause?.confidence == (agrees ? .proven : nil))
  }

  @Test("two rules that can be the reason are both named, and nothing is proven")
  func ambiguous() throws {
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging(entry: 1 << 63 | 0x83)
    let verdict = Investigator.verdict(on: scene)
    let cause = try #require(verdict.cause)
    #expect(cause.confidence == .likely)
    #expect(cause.summary.contains("for one of these reasons"))
    #expect(verdict.walk?.levels.last?.offendingBits == 1 << 63 | 1 << 7)
  }

  @Test("a refusal that no rule explains is shown, and is no cause")
  func unexplained() {
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging(entry: 0x104003)
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause == nil)
    #expect(verdict.walk?.levels.last?.value == 0x104003)
    #expect(verdict.observations.contains { $0.text.contains("no rule known here") })
  }

  @Test("EFER of registers that are not of this death decides nothing", arguments: [true, false])
  func otherEFER(_ isReset: Bool) {
    var state = Story.state(rip: 0xFFF0, efer: [])
    if isReset {
      state.cs.base = 0xFFFF_0000
      state.cs.selector = SegmentSelector(rawValue: 0xF000)
      state.cr0 = CR0(rawValue: 0x6000_0010)
    }
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging(entry: 1 << 63 | 0x83)
    scene.processors = [Story.processor(state)]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.confidence == .likely)
    #expect(verdict.walk?.levels.last?.offendingBits == 1 << 63 | 1 << 7)
  }

  @Test("what is known of the processor can contradict the refusal: both are shown")
  func contradiction() throws {
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging()
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.commandLine = Story.commandLine("Haswell,+pdpe1gb")
    scene.host.usesTwoDimensionalPaging = Sourced(false, .host("kvm_amd.npt"))
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.confidence == .likely)
    #expect(verdict.evidence.contains { $0.text.contains("one of the two is not what it seems") })
    #expect(!verdict.remedies.contains { $0.kind == .commandLine }, "the option is there already")
  }

  // MARK: Who decided, and what cures it

  struct Cure: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var cpu: String
    var offers: Bool?
    var guestHas: Bool?
    var summary: String
    var remedies: [String]
  }

  static let cures = [
    Cure(
      testDescription: "the model lacks it, the host offers it", cpu: "Haswell", offers: true, guestHas: false,
      summary: "since the model of -cpu Haswell lacks it", remedies: ["-cpu Haswell,+pdpe1gb", "-cpu Skylake-Server"]),
    Cure(
      testDescription: "turned off", cpu: "Skylake-Server,-pdpe1gb", offers: true, guestHas: false,
      summary: "turned off by -pdpe1gb", remedies: ["-cpu Skylake-Server,+pdpe1gb"]),
    Cure(
      testDescription: "the host cannot offer it", cpu: "Haswell", offers: false, guestHas: false,
      summary: "since the model of -cpu Haswell lacks it", remedies: ["ask CPUID", "run the guest on a host"]),
    Cure(
      testDescription: "asked for and not offered", cpu: "Haswell,+pdpe1gb", offers: false, guestHas: false,
      summary: "although it was asked for", remedies: ["ask CPUID", "run the guest on a host"]),
    Cure(
      testDescription: "nobody asked the host", cpu: "Haswell", offers: nil, guestHas: nil,
      summary: "since the model of -cpu Haswell lacks it", remedies: ["-cpu Haswell,+pdpe1gb"]),
  ]

  @Test("says who decided the CPUID bit, and proposes only what can work", arguments: cures)
  func decision(_ cure: Cure) throws {
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging()
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.commandLine = Story.commandLine(cure.cpu)
    scene.host = Story.shadowPagingHost(offersGiBPages: cure.offers)
    if let has = cure.guestHas { scene.guestFeatures = Sourced([.pdpe1gb: has], .qmp("feature-words")) }
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.confidence == .proven)
    #expect(verdict.cause?.summary.contains(cure.summary) == true, "\(verdict.cause?.summary ?? "")")
    for (remedy, change) in zip(verdict.remedies, cure.remedies) { #expect(remedy.change.hasPrefix(change)) }
    #expect(verdict.remedies.count >= cure.remedies.count)
    let flags = verdict.remedies.filter { $0.kind == .commandLine }
    #expect(flags.isEmpty == (cure.offers == false))
    #expect(flags.first.map { $0.available == cure.offers } ?? true)
  }

  @Test("QEMU's own warning says that the host withholds the feature")
  func warning() {
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging()
    scene.log = Sourced.messages(
      of: QEMULog.parse(
        "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.80000001H:EDX.pdpe1gb [bit 26]"),
      named: "log")
    let verdict = Investigator.verdict(on: scene)
    let words = "although it was asked for: the host's KVM does not offer it"
    #expect(verdict.cause?.summary.contains(words) == true)
    #expect(!verdict.remedies.contains { $0.kind == .commandLine }, "no option can help")
  }
}

@Suite("Which death")
struct WhichDeathTests {
  @Test("of two guests in one trace the last to die is judged, and the other named")
  func twoGuests() {
    var scene = Scene()
    var other = Story.traceWithEPT
    for index in other.indices { other[index].threadID = 9 }
    scene.trace = other + Story.traceWithShadowPaging()
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.fault?.address == LinearAddress(0x10006d))
    #expect(verdict.observations.contains { $0.text.contains("Another vCPU died in this trace: qemu-system-x86-9") })
  }

  @Test("a guest that reboots dies many times and is told of once")
  func reboots() {
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging() + Story.traceWithShadowPaging()
    #expect(!Investigator.verdict(on: scene).observations.contains { $0.text.contains("Another vCPU") })
  }

  @Test("of several processors the one that cannot go on is judged")
  func severalProcessors() {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.commandLine = Story.commandLine()
    scene.host = Story.shadowPagingHost(offersGiBPages: true)
    scene.memory = Story.memory()
    var halted = Story.state()
    halted.cr0.remove(.paging)
    scene.processors = [Story.processor(halted), Story.processor()]
    #expect(Investigator.verdict(on: scene).cause?.id == "paging.reserved-bit")
  }
}
