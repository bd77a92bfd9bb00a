extension Scene {
  /// KVM's events, and what would give them.
  var missingTrace: Missing {
    let what = "KVM's own account, the events of kvm and kvmmmu"
    guard let traceLack else {
      return Missing(
        what: what,
        how: "sudo inquest run -- qemu-system-x86_64 …, or sudo trace-cmd record -e kvm -e kvmmmu while it dies"
      )
    }
    return Missing(what: "\(what): \(traceLack.reason)", how: traceLack.advice)
  }

  /// The registers that KVM on AMD clears, and what would keep them.
  var missingRegistersAtShutdown: Missing {
    let what = "the registers at the death, which KVM on AMD clears"
    guard let registersLack else {
      return Missing(
        what: what,
        how:
          "sudo inquest run -- qemu-system-x86_64 …, which keeps them by a probe on KVM's shutdown_interception; or inquest run --verify, which runs the guest again under TCG"
      )
    }
    return Missing(
      what: "\(what): \(registersLack.reason)",
      how: "\(registersLack.advice); or inquest run --verify, which runs the guest again under TCG")
  }
}
