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
}
