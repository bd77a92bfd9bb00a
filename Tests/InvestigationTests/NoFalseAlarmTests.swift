import Investigation
import KVM
import QEMU
import Testing
import X86

@Suite("No false alarms")
struct NoFalseAlarmTests {
  @Test("a failed walk after which the guest goes on is no death")
  func survivedWalk() {
    var scene = Scene()
    scene.trace = Array(Story.traceWithShadowPaging().dropLast())
    #expect(Investigator.verdict(on: scene).cause == nil)
    #expect(Investigator.verdict(on: scene).outcome == .undetermined)
  }

  @Test("an emulation that failed before the guest went on is no death")
  func survivedEmulation() {
    var scene = Scene()
    scene.trace = Story.traceWithEPT + Story.records([.entry(vcpu: 0, rip: 0x133029)], from: 2_000_000_000)
    #expect(Investigator.verdict(on: scene).outcome == .undetermined)
  }

  @Test("a death whose walk found no reserved bit has another cause")
  func otherWalk() {
    var scene = Scene()
    scene.trace = Story.traceWithShadowPaging(entry: 0, error: [])
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause?.id == "paging.code-not-mapped")
    #expect(verdict.fault?.errorCode == 0)
  }

  @Test("where another exception came as well, the walk is not blamed")
  func otherException() {
    var scene = Scene()
    var trace = Story.traceWithShadowPaging()
    trace.insert(
      contentsOf: Story.records([.injectException(vector: .invalidOpcode, errorCode: nil, isReinjected: false)]), at: 2)
    scene.trace = trace
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause == nil)
  }

  @Test("another thread's walk is not this death's")
  func otherThread() {
    var scene = Scene()
    let walk = Story.traceWithShadowPaging().dropLast()
    let death = Story.records([.userspaceExit(reason: .shutdown, errno: nil)], thread: 8, from: 3_000_000_000)
    scene.trace = walk + death
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause == nil)
  }

  @Test(
    "entries that no single walk can have read are not taken for one",
    arguments: [
      ("on behind a 1 GiB page", [0x20_3007, 0x4000_00b7, 0x8000_0000_0020_0083]),
      ("on behind an entry that is not present", [0x10_3002, 0x83]),
      ("a reserved bit in an entry that is not present", [0x10_3003, 0x82]),
    ] as [(String, [UInt64])])
  func notOneWalk(_ what: String, _ entries: [UInt64]) {
    var scene = Scene()
    scene.trace = Story.records(
      [.entry(vcpu: 0, rip: 0x1000), .pagetableWalk(address: LinearAddress(0x1000), access: .fetch)]
        + entries.enumerated().map { .pagingElement(entry: $1, level: 4 - $0) }
        + [
          .walkerError([.present, .reserved]),
          .injectException(vector: .pageFault, errorCode: 9, isReinjected: false),
          .userspaceExit(reason: .shutdown, errno: nil),
        ])
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause == nil)
  }

  @Test("a dump alone explains nothing, and says what it proves and what is missing")
  func dumpAlone() {
    var scene = Scene()
    scene.processors = [Story.processor(Story.state(idtLimit: 0))]
    scene.log = Sourced.messages(
      of: QEMULog.parse("KVM internal error. Suberror: 1\nemulation failure\n"), named: "log")
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause == nil)
    let texts = verdict.observations.map(\.text)
    for part in [
      "compatibility mode", "CR3 points to the PML4 table at physical 0x102000", "EFER.NXE is clear",
      "a few instructions ago",
      "The IDT is empty", "far jump",
    ] { #expect(texts.contains { $0.contains(part) }, "\(part)") }
    #expect(verdict.missing.contains { $0.how.contains("xp /512gx 0x102000") })
    #expect(verdict.missing.contains { $0.what.contains("kvmmmu") })
  }

  /// States in which a register that often tells something does not tell it.
  static let states: [(String, String, @Sendable (inout ProcessorState) -> Void)] = [
    (
      "32-bit paging has no bit 63", "EFER.NXE",
      {
        $0.efer = []
        $0.cr4 = []
      }
    ),
    ("CR0 was only read", "a few instructions ago", { $0.generalPurpose.rcx = 1 }),
    ("a 32-bit program on a 64-bit kernel", "far jump", { $0.currentPrivilegeLevel = 3 }),
  ]

  @Test("registers prove no more than they do")
  func modestObservations() {
    for (what, words, change) in Self.states {
      var state = Story.state()
      var scene = Scene()
      scene.processors = [Story.processor(state)]
      #expect(Investigator.verdict(on: scene).observations.contains { $0.text.contains(words) }, "\(what)")
      change(&state)
      scene.processors = [Story.processor(state)]
      #expect(!Investigator.verdict(on: scene).observations.contains { $0.text.contains(words) }, "\(what)")
    }
  }

  @Test(
    "a failed emulation in a user program is no death: QEMU lets the guest go on", arguments: [0x33 as UInt16, 0x10])
  func userEmulation(_ selector: UInt16) {
    let dump = """
      KVM internal error. Suberror: 1
      emulation failure
      EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000000
      ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000000
      EIP=08048000 EFL=00000202 [-------] CPL=\(selector & 3) II=0 A20=1 SMM=0 HLT=0
      ES =0000 00000000 ffffffff 00c00000
      CS =\(String(0x10000 + Int(selector), radix: 16).dropFirst()) 00000000 ffffffff 00c0fb00
      SS =0000 00000000 ffffffff 00c00000
      DS =0000 00000000 ffffffff 00c00000
      FS =0000 00000000 ffffffff 00c00000
      GS =0000 00000000 ffffffff 00c00000
      LDT=0000 00000000 0000ffff 00008200
      TR =0000 00000000 0000ffff 00008b00
      GDT=     00000000 0000ffff
      IDT=     00000000 0000ffff
      CR0=80000011 CR2=00000000 CR3=00001000 CR4=00000000
      EFER=0000000000000000
      """
    var scene = Scene()
    scene.log = Sourced.messages(of: QEMULog.parse(dump), named: "log")
    #expect(Investigator.verdict(on: scene).outcome == (selector == 0x33 ? .undetermined : .died))
    scene.ending = .exited(status: 0)
    #expect(Investigator.verdict(on: scene).outcome == (selector == 0x33 ? .ended : .died))
    scene.ending = .internalError
    #expect(Investigator.verdict(on: scene).outcome == .died)
  }

  @Test(
    "a trace of deaths alone, of one thread or of many, is read through",
    arguments: [UserspaceExitReason.shutdown, .internalError], [false, true])
  func deathsAlone(_ reason: UserspaceExitReason, _ ofManyThreads: Bool) {
    let trace = (0..<20_000).map { index in
      KVMRecord(
        time: UInt64(index), cpu: 0, task: "qemu", threadID: ofManyThreads ? index : 7,
        event: .userspaceExit(reason: reason, errno: nil))
    }
    let deaths = RecordedDeath.deaths(in: trace)
    #expect(deaths.count == trace.count)
    #expect(deaths.allSatisfy { $0.records.count == 1 })
  }

  @Test("a fault whose handler ran is not the first of those that end the guest, whether or not kvm_entry is recorded")
  func handledFault() {
    func exit(_ name: String, _ reason: UInt32, at rip: UInt64) -> KVMEvent {
      .exit(KVMExit(vendor: .svm, reasonName: name, reason: reason, rip: rip))
    }
    for recordsEntries in [true, false] {
      var events = [exit("PF excp", 0x4E, at: 0x1000)]
      events += [
        .pagetableWalk(address: LinearAddress(0x80_0000), access: .write), .pagingElement(entry: 0, level: 4),
        .walkerError(.write), .injectException(vector: .pageFault, errorCode: 2, isReinjected: false),
      ]
      if recordsEntries { events.append(.entry(vcpu: 0, rip: 0x1000)) }
      events += [exit("interrupt", 0x60, at: 0x2000), exit("shutdown", 0x7F, at: 0x2000)]
      events.append(.userspaceExit(reason: .shutdown, errno: nil))
      var scene = Scene(ending: .reset)
      scene.trace = Story.records(events)
      let death = RecordedDeath.deaths(in: scene.trace).last
      #expect(death?.rip == 0x2000)
      #expect(death?.records.count == 3)
      #expect(Investigator.verdict(on: scene).cause == nil)
    }
  }

  @Test("what lies before a loss of events is not joined to the death behind it")
  func lostEvents() {
    var scene = Scene()
    scene.trace = Story.traceWithEPT
    for hole in scene.trace.indices {
      scene.traceHoles = [hole]
      let verdict = Investigator.verdict(on: scene)
      #expect(verdict.outcome == .died)
      #expect((verdict.cause == nil) == (2...7 ~= hole), "\(hole)")
    }
    scene.traceHoles = [3]
    scene.takeTrace(ofThread: 7)
    #expect(scene.traceHoles == [3])
    #expect(Investigator.verdict(on: scene).cause == nil)
  }

  @Test("a death behind a loss of events is told, and nothing in it is proven")
  func provenDespiteLoss() throws {
    var scene = Scene()
    scene.trace = Story.traceWithEPT
    #expect(Investigator.verdict(on: scene).cause?.confidence == .proven)
    var gettingOn = Scene()
    // The guest got on behind the hole, from one instruction to the next: nothing before that matters.
    gettingOn.trace = Story.traceWithShadowPaging()
    gettingOn.traceHoles = [0]
    #expect(Investigator.verdict(on: gettingOn).cause?.confidence == .proven)
    scene.traceHoles = [1]
    let behindHole = Investigator.verdict(on: scene)
    #expect(behindHole.cause?.confidence == .likely)
    let words =
      "Events were lost before the last \(scene.trace.count - 1) of the trace: what led to the death may have begun"
    #expect(behindHole.observations.contains { $0.text.hasPrefix(words) })
    scene.traceHoles = []
    for areAllPlaced in [true, false] {
      scene.lostEvents = LostEvents(count: 3, of: 900, areAllPlaced: areAllPlaced)
      let verdict = Investigator.verdict(on: scene)
      #expect(verdict.cause?.confidence == (areAllPlaced ? .proven : .likely))
      let counted = try #require(
        verdict.observations.first { $0.text.hasPrefix("The kernel lost 3 of the 900 events") })
      #expect(counted.text.contains("nothing says where") == !areAllPlaced)
    }
  }

  @Test("a write that would reset the machine is not its last one where later ones may be missing")
  func resetBeforeLoss() {
    var scene = Scene(ending: .reset)
    scene.trace = Story.records([
      .portIO(isWrite: true, port: 0xCF9, size: 1, count: 1, value: 6), .entry(vcpu: 0, rip: 0x1000),
    ])
    #expect(Investigator.verdict(on: scene).outcome == .ended)
    scene.traceHoles = [1]
    #expect(Investigator.verdict(on: scene).outcome == .undetermined)
    scene.traceHoles = []
    scene.lostEvents = LostEvents(count: 1, of: 2, areAllPlaced: false)
    #expect(Investigator.verdict(on: scene).outcome == .undetermined)
  }

  @Test("an injected fault is the guest's to handle, and no reason of an internal error")
  func injectedFetch() {
    var scene = Scene()
    scene.trace = Story.traceWithEPT
    scene.trace.insert(
      contentsOf: Story.records([.injectException(vector: .pageFault, errorCode: 9, isReinjected: false)]), at: 5)
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause == nil)
  }

  /// Writes to the ports that can reset the machine, and whether these do.
  static let writes: [(port: UInt16, value: UInt8, resets: Bool)] = [
    (0x64, 0xFE, true), (0x64, 0xF0, true), (0x64, 0xD1, false), (0x64, 0xFF, false),
    (0x92, 3, true), (0x92, 2, false), (0xCF9, 6, true), (0xCF9, 2, false), (0x80, 0xFE, false),
  ]

  @Test("a reset that the guest asked for is no death, and not every write to these ports asks for one")
  func deliberateReset() {
    for write in Self.writes {
      var traced = Scene(ending: .reset)
      traced.processors = [Story.processor()]
      traced.trace = Story.records([
        .portIO(isWrite: true, port: write.port, size: 1, count: 1, value: UInt32(write.value))
      ])
      var seen = Scene(ending: .reset)
      var state = Story.state(rip: 0x10006d, cr3: 0)
      state.cr0 = [.protectionEnable]
      state.efer = []
      state.generalPurpose.rax = UInt64(write.value)
      state.generalPurpose.rdx = UInt64(write.port)
      seen.processors = [Story.processor(state)]
      var memory = Story.memory()
      // out dx, al; and behind it what must not be reached, or a loop.
      memory.store([0xEE] + (write.resets ? [0x0F, 0x0B] : [0xEB, 0xFE]), at: 0x10006c)
      seen.memory = memory
      for scene in [traced, seen] {
        #expect(Investigator.verdict(on: scene).outcome == (write.resets ? .ended : .undetermined), "\(write)")
      }
    }
  }

  @Test("a reset that nothing explains is undetermined")
  func unexplainedReset() {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.tcg, .commandLine)
    scene.processors = [Story.processor()]
    scene.memory = Story.memory()
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .undetermined)
    #expect(verdict.cause == nil)
  }

  @Test(
    "hardware under EPT or NPT, and what it goes by, decides whether the walk fails",
    arguments: [
      ("6.1.0-18-amd64", true, Outcome.undetermined), ("6.1.0-18-amd64", false, .died), ("5.10.0", true, .undetermined),
    ])
  func twoDimensionalPaging(_ release: String, _ hostHasPages: Bool, _ outcome: Outcome) {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.commandLine = Story.commandLine()
    scene.processors = [Story.processor()]
    scene.memory = Story.memory()
    scene.host.usesTwoDimensionalPaging = Sourced(true, .host("kvm_intel.ept"))
    scene.host.kernelRelease = Sourced(release, .host("uname"))
    scene.host.processorHasGiBPages = Sourced(hostHasPages, .host("/proc/cpuinfo"))
    #expect(Investigator.verdict(on: scene).outcome == outcome)
  }
}
