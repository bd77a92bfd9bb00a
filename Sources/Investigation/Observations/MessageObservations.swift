import QEMU
import X86

extension Scene {
  /// What QEMU's words on KVM's other ways to give up mean.
  var messageObservations: [Evidence] {
    var told: Set<String> = []
    return log.compactMap { entry in
      guard let words = entry.value.meaning, told.insert(words).inserted else { return nil }
      return Evidence(words, entry.source)
    }
  }
}

extension Scene {
  /// Where TCG came to neither RAM nor ROM.
  var executionOutsideMemory: UInt64? {
    for entry in log.reversed() {
      if case .executionOutsideMemory(let address, _) = entry.value { return address }
    }
    return nil
  }

  /// The same where QEMU shows no registers and names itself an x86.
  var untoldExecutionOutsideMemory: UInt64? {
    guard processors.isEmpty, !log.contains(where: \.value.isDump) else { return nil }
    for entry in log.reversed() {
      guard case .executionOutsideMemory(let address, let program?) = entry.value else { continue }
      let name = program.split(separator: "/").last ?? ""
      return ["qemu-system-x86_64", "qemu-system-i386"].contains(where: name.hasPrefix) ? address : nil
    }
    return nil
  }
}

extension QEMUMessage {
  fileprivate var meaning: String? {
    switch self {
    case .kvmExceptionExit(let vector, _):
      "QEMU's message stands for KVM_EXIT_EXCEPTION: the processor gave KVM \(vector.name), which KVM had not asked to see. KVM handles the exceptions that it asks for and returns others so only when something is "
        + "wrong below it: the processor or, where the host is itself a guest, its hypervisor"
    case .kvmUnknownExit:
      "QEMU's message stands for KVM_EXIT_UNKNOWN: the processor left the guest for a reason that this KVM does not know"
    case .kvmUnknownExitReason(let reason): "KVM left with KVM_EXIT \(reason), which this QEMU is too old to know"
    case .kvmRunFailed(let error):
      "KVM_RUN itself failed (\(error)): "
        + (error.hasPrefix("Bad address")
          ? "EFAULT, memory that KVM could not reach: a page of the guest's RAM that the host cannot give, or an access that KVM does not support there"
          : "the host's side, no exception of the guest")
    case .kvmNotifyExit:
      "The processor ran the guest too long without a chance to interrupt it (notify VM exit), and its state may be corrupt"
    case .registersRefused(let operation, let error):
      "KVM refused a set of registers that QEMU put \(operation): \(error). No exception of the guest was raised; one of the values is none that KVM accepts"
    case .executionOutsideMemory(let address, _):
      "TCG's own message: execution came to \(address.hexadecimal), where there is neither RAM nor ROM. Under KVM the same is an internal error"
    default: nil
    }
  }
}
