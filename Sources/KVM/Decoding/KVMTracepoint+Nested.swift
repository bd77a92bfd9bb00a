import Traces
import X86

extension KVMTracepoint {
  /// What hypervisors in the guest cause.
  static let nested: [KVMTracepoint] = [
    KVMTracepoint("kvm_nested_vmexit", KVMExit.fields, readText: KVMExit.readText) { f throws(KVMDecodingError) in
      .nestedExit(try KVMExit(f))
    },
    nestedEntry("kvm_nested_vmenter"),
    nestedEntry("kvm_nested_vmrun"),
    KVMTracepoint(
      "kvm_nested_vmenter_failed", ["err", "msg"],
      readText: { text in
        var values = KVMFieldValues()
        values.bytes = Array(text.string.utf8)
        return values
      }
    ) { f throws(KVMDecodingError) in
      guard let message = f.bytes else { throw .missingField(1) }
      return .nestedEntryFailed(
        message: String(decoding: message.prefix { $0 != 0 }, as: UTF8.self),
        error: f[0].map { UInt32(truncatingIfNeeded: $0) })
    },
    KVMTracepoint(
      "kvm_nested_vmexit_inject", KVMExit.fields, readText: KVMExit.readFields
    ) { f throws(KVMDecodingError) in
      let (vendor, name, reason) = try KVMExit.reason(f)
      return .nestedExitReflected(
        KVMReflectedExit(
          vendor: vendor, reasonName: name, reason: reason, info1: try f.required(3), info2: try f.required(4),
          interruptionInfo: try f.required(5, as: UInt32.self), errorCode: try f.required(6, as: UInt32.self)))
    },
    KVMTracepoint("kvm_nested_intr_vmexit", ["rip"], text: ["rip: {rip:x}"]) { f throws(KVMDecodingError) in
      .nestedInterruptExit(rip: try f.required(0))
    },
    KVMTracepoint(
      "kvm_nested_intercepts",
      ["cr_read", "cr_write", "exceptions", "intercept1", "intercept2", "intercept3", "intercept"],
      text: [
        "cr_read: {cr_read:x} cr_write: {cr_write:x} excp: {exceptions:x} "
          + "intercepts: {intercept1:x} {intercept2:x} {intercept3:x}",
        "cr_read: {cr_read:x} cr_write: {cr_write:x} excp: {exceptions:x} intercept: {intercept:x}",
      ]
    ) { f throws(KVMDecodingError) in
      .nestedIntercepts(
        controlReads: try f.required(0, as: UInt16.self), controlWrites: try f.required(1, as: UInt16.self),
        exceptions: try f.required(2, as: UInt32.self), instructions: try f.interceptedInstructions(3, 4, both: 6),
        extended: f[5].map { UInt32(truncatingIfNeeded: $0) })
    },
    KVMTracepoint(
      "kvm_invlpga", ["rip", "asid", "address"], text: ["rip: {rip:x} asid: {asid} address: {address:x}"]
    ) { f throws(KVMDecodingError) in
      .invalidatePage(
        rip: try f.required(0), asid: try f.required(1, as: UInt32.self), address: LinearAddress(try f.required(2)))
    },
    KVMTracepoint("kvm_skinit", ["rip", "slb"], text: ["rip: {rip:x} slb: {slb:x}"]) { f throws(KVMDecodingError) in
      .secureInit(rip: try f.required(0), loaderBlock: try f.required(1, as: UInt32.self))
    },
  ]

  private static func nestedEntry(_ name: String) -> KVMTracepoint {
    KVMTracepoint(
      name, ["rip", "nested_rip", "event_inj", "npt|tdp_enabled", "guest_pgd", "isa"],
      text: [
        "rip: {rip:x} vmcb: {*} nested_rip: {nested_rip:x} int_ctl: {*} event_inj: {event_inj:x} "
          + "nested_npt={npt=y:1|n:0} {isa=nested_cr3:2|guest_cr3:2}: {guest_pgd:x}",
        "rip: {rip:x} vmcs: {*} nested_rip: {nested_rip:x} int_ctl: {*} event_inj: {event_inj:x} "
          + "nested_ept={npt=y:1|n:0} {isa=nested_eptp:1|guest_cr3:1}: {guest_pgd:x}",
        "rip: {rip:x} {*}: {*} nested_rip: {nested_rip:x} int_ctl: {*} event_inj: {event_inj:x}",
        "rip: {rip:x} vmcb: {*} nrip: {nested_rip:x} int_ctl: {*} event_inj: {event_inj:x} npt: {npt=on:1|off:0}",
      ]
    ) { f throws(KVMDecodingError) in
      .nestedEntry(
        KVMNestedEntry(
          rip: try f.required(0), nestedRIP: try f.required(1),
          eventInjection: EventInformation(rawValue: try f.required(2, as: UInt32.self)),
          usesNestedPaging: f[3].map { $0 & 0xFF != 0 }, root: f[4],
          vendor: f[5].flatMap { $0 == 1 ? .vmx : $0 == 2 ? .svm : nil }))
    }
  }
}

extension KVMFieldValues {
  /// The vectors of intercepted instructions, which 4.x records as one word.
  fileprivate func interceptedInstructions(_ low: Int, _ high: Int, both: Int) throws(KVMDecodingError) -> UInt64 {
    if let value = self[both] { return value }
    return try required(low) & 0xffff_ffff | required(high) << 32
  }
}
