import Investigation
import KVM
import QEMU
import Testing
import X86

/// A fault that repeats for ever, told from the many that do not.
@Suite("hang.endless-fault")
struct EndlessFaultTests {
  private func cause(log: [QEMUMessage] = [], trace: [KVMEvent] = []) -> String? {
    var guest = SmallGuest()
    guest.memory.store([0x90], at: 0x10_0000)
    guest.state.rflags.insert(.interruptEnable)
    var scene = guest.scene
    scene.ending = .timedOut
    scene.log = log.map { Sourced($0, .log(name: "log", line: 1)) }
    scene.trace = Story.records(trace)
    return Investigator.verdict(on: scene).cause?.id
  }

  private func event(_ vector: UInt8, cr2: UInt64? = nil) -> QEMUMessage {
    var interrupt = InterruptLog(vector: ExceptionVector(rawValue: vector), errorCode: 2)
    interrupt.isSoftware = false
    interrupt.programCounter = 0x10_0000
    interrupt.cr2 = cr2
    return .interrupt(interrupt)
  }

  private func injection(_ address: UInt64) -> [KVMEvent] {
    [
      .pagetableWalk(address: LinearAddress(address), access: .write), .walkerError(.write),
      .injectException(vector: .pageFault, errorCode: 2, isReinjected: false),
    ]
  }

  @Test("in a log: the same fault, but no timer and no pages that are mapped on demand")
  func logs() {
    #expect(cause(log: (0..<100).map { _ in event(14, cr2: 0x40_0000) }) == "hang.endless-fault")
    #expect(cause(log: (0..<100).map { event(14, cr2: 0x40_0000 + UInt64($0) << 12) }) == nil)
    #expect(
      cause(log: (0..<100).flatMap { _ in [.hardwareInterrupt(vector: 0x20, isVirtual: false), event(0x20)] }) == nil)
    #expect(cause(log: (0..<20).map { _ in event(14, cr2: 0x40_0000) }) == nil)
  }

  @Test("in a log of real mode, where TCG names the vector alone")
  func realModeLog() {
    let check = QEMUMessage.exceptionCheck(old: nil, new: .invalidOpcode)
    let tick = QEMUMessage.hardwareInterrupt(vector: 8, isVirtual: false)
    #expect(cause(log: Array(repeating: check, count: 2000) + [tick, check]) == "hang.endless-fault")
    #expect(cause(log: Array(repeating: check, count: 100)) == nil)
    let emulated = QEMUMessage.exceptionCheck(old: nil, new: .deviceNotAvailable)
    #expect(cause(log: Array(repeating: emulated, count: 2000)) == nil)
  }

  @Test("in a trace: the same address, since QEMU last served the guest")
  func traces() {
    let same = (0..<100).flatMap { _ in injection(0x40_0000) }
    #expect(cause(trace: same) == "hang.endless-fault")
    #expect(cause(trace: (0..<100).flatMap { injection(0x40_0000 + UInt64($0) << 12) }) == nil)
    #expect(cause(trace: same + [.userspaceExit(reason: UserspaceExitReason(rawValue: 2), errno: nil)]) == nil)
    #expect(
      cause(trace: (0..<100).map { _ in .injectException(vector: .pageFault, errorCode: 2, isReinjected: false) })
        == nil)
  }

  /// What is said of a guest of which nothing was recorded, by looks at it: at `mov al, [0x400000]`, which is not mapped.
  private func cause(looks: [(inout ProcessorState) -> Void]) -> String? {
    var guest = SmallGuest()
    guest.accelerator = .kvm
    guest.memory.store([0x8A, 0x04, 0x25, 0, 0, 0x40, 0], at: 0x10_0000)
    guest.state.cr2 = 0x40_0000
    var scene = guest.scene
    scene.ending = .stalled
    scene.log = []
    scene.watched = looks.map { change in
      var state = guest.state
      change(&state)
      return WatchedMoment(processors: [Story.processor(state)])
    }
    return Investigator.verdict(on: scene).cause?.id
  }

  @Test("in the registers: the fault has been raised and is about to be raised again, and nothing has changed")
  func looks() {
    let inHandler: (inout ProcessorState) -> Void = { $0.rip = SmallGuest.handler }
    let same: [(inout ProcessorState) -> Void] = [{ _ in }, inHandler, { _ in }, inHandler, { _ in }]
    #expect(cause(looks: same) == "hang.endless-fault")
    #expect(cause(looks: [{ _ in }, inHandler, { _ in }]) == nil)
    #expect(cause(looks: same + [{ $0.generalPurpose.rbx = 1 }]) == nil)
    #expect(cause(looks: same + [{ $0.cr2 = 0x40_1000 }]) == nil)
    #expect(cause(looks: (0..<5).map { _ in { $0.cr2 = 0 } }) == nil)
  }

  /// What is said of a guest at UD2, or another instruction, with a handler for its exception.
  private func cause(
    handler: [UInt8], vector: UInt64 = 6, code: [UInt8] = [0x0F, 0x0B],
    looks: [(inout ProcessorState) -> Void] = [{ _ in }]
  ) -> String? {
    var guest = SmallGuest()
    guest.memory.store(code, at: 0x10_0000)
    guest.memory.store(handler, at: SmallGuest.handler)
    guest.setGate(vector, SmallGuest.gate())
    guest.state.rflags.insert(.interruptEnable)
    var scene = guest.scene
    scene.ending = .stalled
    scene.log = []
    scene.watched = looks.map { change in
      var state = guest.state
      change(&state)
      return WatchedMoment(processors: [Story.processor(state)])
    }
    return Investigator.verdict(on: scene).cause?.id
  }

  @Test(
    "a handler that only returns brings the fault back",
    arguments: [
      [0x48, 0xCF],
      // push rax; mov al, 20h; out 20h, al; pop rax; iretq
      [0x50, 0xB0, 0x20, 0xE6, 0x20, 0x58, 0x48, 0xCF],
      // push rax; push rcx; pop rcx; pop rax; iretq
      [0x50, 0x51, 0x59, 0x58, 0x48, 0xCF],
    ] as [[UInt8]])
  func returns(_ handler: [UInt8]) {
    #expect(cause(handler: handler) == "hang.endless-fault")
    let inHandler: (inout ProcessorState) -> Void = { $0.rip = SmallGuest.handler }
    #expect(cause(handler: handler, looks: [inHandler, { _ in }, inHandler]) == "hang.endless-fault")
    // A look at another place, or with other registers, shows that it gets on.
    #expect(cause(handler: handler, looks: [{ _ in }, { $0.rip = 0x10_0100 }]) == nil)
    #expect(cause(handler: handler, looks: [{ _ in }, { $0.generalPurpose.rbx = 1 }]) == nil)
  }

  @Test(
    "a handler that may do more does not",
    arguments: [
      // add qword ptr [rsp], 2; iretq
      [0x48, 0x83, 0x04, 0x24, 0x02, 0x48, 0xCF],
      // mov rbx, rsp; iretq: a register is changed
      [0x48, 0x89, 0xE3, 0x48, 0xCF],
      // push rax; push rcx; pop rax; pop rcx; iretq
      [0x50, 0x51, 0x58, 0x59, 0x48, 0xCF],
      // pop rax; iretq; one that calls; one that halts
      [0x58, 0x48, 0xCF], [0xE8, 0, 0, 0, 0, 0x48, 0xCF], [0xF4, 0x48, 0xCF],
      // iretd
      [0xCF],
    ] as [[UInt8]])
  func mends(_ handler: [UInt8]) {
    #expect(cause(handler: handler) == nil)
  }

  @Test("an error code is to be dropped before the return, and a trap leads on")
  func otherVectors() {
    // mov ds, ax with a selector beyond the GDT
    let load: [UInt8] = [0xB8, 0x00, 0x01, 0, 0, 0x8E, 0xD8]
    let atLoad: [(inout ProcessorState) -> Void] = [
      {
        $0.rip = 0x10_0005
        $0.generalPurpose.rax = 0x100
      }
    ]
    // add rsp, 8; iretq
    #expect(
      cause(handler: [0x48, 0x83, 0xC4, 0x08, 0x48, 0xCF], vector: 13, code: load, looks: atLoad)
        == "hang.endless-fault")
    #expect(cause(handler: [0x48, 0xCF], vector: 13, code: load, looks: atLoad) == nil)
    #expect(cause(handler: [0x48, 0xCF], vector: 3, code: [0xCC]) == nil)
  }

  @Test("real mode's vectors lead to handlers, too")
  func realMode() {
    var guest = SmallGuest()
    guest.state = Story.state(rip: 0x7C10, cr3: 0, idtLimit: 0x3FF)
    guest.state.cr0 = []
    guest.state.efer = []
    guest.state.idtr.base = LinearAddress(0)
    guest.state.cs = Segment(
      selector: SegmentSelector(rawValue: 0), base: 0, limit: 0xFFFF, attributes: SegmentAttributes(rawValue: 0x9B00))
    guest.state.ss = guest.state.cs
    guest.state.generalPurpose.rsp = 0x7C00
    guest.memory.store([0x0F, 0x0B], at: 0x7C10)
    guest.memory.store([0x53, 0xFF, 0x00, 0xF0], at: 24)
    guest.memory.store([0xCF], at: 0xFFF53)
    var scene = guest.scene
    scene.ending = .stalled
    scene.log = []
    #expect(Investigator.verdict(on: scene).cause?.id == "hang.endless-fault")
    guest.memory.store([0xF4], at: 0xFFF53)
    scene.memory = guest.memory
    #expect(Investigator.verdict(on: scene).cause == nil)
  }
}
