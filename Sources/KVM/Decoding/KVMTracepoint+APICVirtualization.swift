import Traces

extension KVMTracepoint {
  static let apicVirtualization: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_apicv_inhibit_changed", ["reason", "set", "inhibits"],
      // From 6.12 on, the names of the reasons follow.
      text: ["{set=set:1|cleared:0} reason={reason}, inhibits={inhibits:x}"]
    ) { f throws(KVMDecodingError) in
      .apicVirtualization(
        .inhibit(
          reason: try f.required(0, as: UInt32.self), isSet: try f.requiredFlag(1), inhibits: try f.required(2)))
    },
    KVMTracepoint(
      "kvm_apicv_update_request", ["reason|bit", "activate"],
      text: [
        "{activate=activate:1|deactivate:0} reason={reason}", "{activate=activate:1|deactivate:0} bit={bit}",
      ]
    ) { f throws(KVMDecodingError) in
      .apicVirtualization(
        .inhibit(reason: try f.required(0, as: UInt32.self), isSet: !(try f.requiredFlag(1)), inhibits: nil))
    },
    KVMTracepoint(
      "kvm_pi_irte_update", ["host_irq", "vcpu_id", "gsi", "gvec", "set", "pi_desc_addr"],
      text: [
        // Up to 6.15, the address of the descriptor follows.
        "PI is {set=\(posting)} for irq {host_irq}, vcpu {vcpu_id}, gsi: {gsi:x}, gvec: {gvec:x}",
        "VT-d PI is {set=\(posting)} for irq {host_irq}, vcpu {vcpu_id}, gsi: {gsi:x}, gvec: {gvec:x}, "
          + "pi_desc_addr: {pi_desc_addr:x}",
        "VT-d PI is {set=\(posting)} for this irq, vcpu {vcpu_id}, gsi: {gsi:x}, gvec: {gvec:x}, "
          + "pi_desc_addr: {pi_desc_addr:x}",
      ]
    ) { f throws(KVMDecodingError) in
      .apicVirtualization(
        .postedInterrupt(
          hostInterrupt: f[0].map { UInt32(truncatingIfNeeded: $0) }, vcpu: try f.required(1, as: Int.self),
          gsi: try f.required(2, as: UInt32.self), vector: try f.required(3, as: UInt32.self),
          isPosted: try f.requiredFlag(4)))
    },
    KVMTracepoint(
      "kvm_avic_incomplete_ipi", ["vcpu", "icrh", "icrl", "id", "index"],
      text: ["vcpu={vcpu}, icrh:icrl={icrh:x}:{icrl:x}, id={id}, index={index}"]
    ) { f throws(KVMDecodingError) in
      .apicVirtualization(
        .incompleteInterrupt(
          vcpu: try f.required(0, as: UInt32.self), command: try f.interruptCommand(high: 1, low: 2),
          identifier: try f.required(3, as: UInt32.self), index: try f.required(4, as: UInt32.self)))
    },
    KVMTracepoint(
      "kvm_avic_unaccelerated_access", ["vcpu", "offset", "ft", "rw", "vec"],
      text: ["vcpu={vcpu}, offset={offset:x}({*}), {ft=trap:1|fault:0}, {rw=write:1|read:0}, vec={vec:x}"]
    ) { f throws(KVMDecodingError) in
      .apicVirtualization(
        .unacceleratedAccess(
          vcpu: try f.required(0, as: UInt32.self), register: try f.required(1, as: UInt32.self),
          isTrap: try f.requiredFlag(2), isWrite: try f.requiredFlag(3), vector: try f.required(4, as: UInt32.self)))
    },
    KVMTracepoint("kvm_avic_ga_log", ["vmid", "vcpuid"], text: ["vmid={vmid}, vcpuid={vcpuid}"]) {
      f throws(KVMDecodingError) in
      .apicVirtualization(
        .logEntry(machine: try f.required(0, as: UInt32.self), vcpu: try f.required(1, as: UInt32.self)))
    },
    KVMTracepoint(
      "kvm_avic_kick_vcpu_slowpath", ["icrh", "icrl", "index"], text: ["icrh:icrl={icrh:x}:{icrl:x}, index={index}"]
    ) { f throws(KVMDecodingError) in
      .apicVirtualization(
        .kick(command: try f.interruptCommand(high: 0, low: 1), index: try f.required(2, as: UInt32.self)))
    },
    KVMTracepoint("kvm_avic_doorbell", ["vcpuid", "apicid"], text: ["vcpuid={vcpuid}, apicid={apicid}"]) {
      f throws(KVMDecodingError) in
      .apicVirtualization(
        .doorbell(vcpu: try f.required(0, as: UInt32.self), apicID: try f.required(1, as: UInt32.self)))
    },
  ]

  private static let posting = "enabled and being updated:1|disabled:0"
}

extension KVMFieldValues {
  /// The interrupt command register from its halves.
  fileprivate func interruptCommand(high: Int, low: Int) throws(KVMDecodingError) -> UInt64 {
    try required(high) << 32 | required(low) & 0xffff_ffff
  }
}
