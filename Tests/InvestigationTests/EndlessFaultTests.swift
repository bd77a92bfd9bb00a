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
}
