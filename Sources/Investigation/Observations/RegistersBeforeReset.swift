import KVM
import X86

/// What a trace still shows of a processor whose registers are those of a reset.
///
/// KVM on AMD resets a processor at a triple fault (arch/x86/kvm/svm/svm.c: shutdown_interception), so that QEMU has nothing
/// of it left.
struct RegistersBeforeReset {
  private let death: RecordedDeath
  /// The last writes of that thread before the death, by the register's name, with their sources.
  private var writes: [(name: String, value: UInt64, source: Source)] = []

  /// Nil where the registers are not those of a reset, or the trace shows nothing.
  init?(_ scene: Scene, _ death: RecordedDeath?) {
    guard let death, death.kind == .tripleFault,
      scene.processors.contains(where: { ResetObservations.isReset($0.state) }),
      !scene.processors.contains(where: { $0.state.rip == death.rip })
    else { return nil }
    self.death = death
    // Where events were lost, a later write may be among them.
    for record in scene.traceSinceLoss where record.threadID == death.threadID {
      guard let (name, value, event) = Self.write(record.event) else { continue }
      writes.removeAll { $0.name == name }
      writes.append((name, value, .trace(event: event, time: record.time)))
    }
    if death.rip == nil, writes.isEmpty { return nil }
  }

  private static func write(_ event: KVMEvent) -> (name: String, value: UInt64, event: String)? {
    switch event {
    case .controlRegister(isWrite: true, let number, let value): ("CR\(number)", value, "kvm_cr")
    case .msr(isWrite: true, 0xC000_0080, let value, faulted: false): ("EFER", value, "kvm_msr")
    default: nil
    }
  }

  /// A line for each register that is known, RIP first.
  var evidence: [Evidence] {
    let pointer = death.rip.map { rip in
      Evidence(
        "Before the reset RIP was \(rip.hexadecimal), as the events up to the shutdown show",
        .trace(event: "kvm_userspace_exit", time: death.records.last?.time))
    }
    // KVM traces a write before it has checked the value.
    return [pointer].compactMap(\.self)
      + writes.sorted { $0.name < $1.name }.map {
        Evidence("The last value that the guest wrote to \($0.name) is \($0.value.hexadecimal)", $0.source)
      }
  }
}
