import Traces
import X86

extension KVMTracepoint {
  static let sev: [KVMTracepoint] = [
    vmgexit("kvm_vmgexit_enter") { .exit(vcpu: $0, reason: $1, info1: $2, info2: $3) },
    vmgexit("kvm_vmgexit_exit") { .resume(vcpu: $0, reason: $1, info1: $2, info2: $3) },
    KVMTracepoint(
      "kvm_vmgexit_msr_protocol_enter", ["vcpu_id", "ghcb_gpa"], text: ["vcpu {vcpu_id}, ghcb_gpa {ghcb_gpa:x}"]
    ) { f throws(KVMDecodingError) in
      .sev(.msrRequest(vcpu: try f.required(0, as: Int.self), value: try f.required(1)))
    },
    KVMTracepoint(
      "kvm_vmgexit_msr_protocol_exit", ["vcpu_id", "ghcb_gpa", "result"],
      text: ["vcpu {vcpu_id}, ghcb_gpa {ghcb_gpa:x}, result {result}"]
    ) { f throws(KVMDecodingError) in
      .sev(
        .msrResponse(
          vcpu: try f.required(0, as: Int.self), value: try f.required(1), result: try f.required(2, as: Int32.self)))
    },
    KVMTracepoint(
      "kvm_rmp_fault", ["vcpu_id", "gpa", "pfn", "error_code", "rmp_level", "psmash_ret"],
      text: [
        "vcpu {vcpu_id} gpa {gpa:x} pfn {pfn:x} error_code {error_code:x} rmp_level {rmp_level} "
          + "psmash_ret {psmash_ret}"
      ]
    ) { f throws(KVMDecodingError) in
      .sev(
        .reverseMapFault(
          vcpu: try f.required(0, as: Int.self), address: PhysicalAddress(try f.required(1)),
          hostFrame: try f.required(2), errorCode: try f.required(3), level: try f.required(4, as: Int.self),
          splitResult: try f.required(5, as: Int32.self)))
    },
  ]

  private static func vmgexit(
    _ name: String, event: @escaping @Sendable (Int, UInt64, UInt64, UInt64) -> SEVEvent
  ) -> KVMTracepoint {
    KVMTracepoint(
      name, ["vcpu_id", "exit_reason", "info1", "info2"],
      text: ["vcpu {vcpu_id}, exit_reason {exit_reason:x}, exit_info1 {info1:x}, exit_info2 {info2:x}"]
    ) { f throws(KVMDecodingError) in
      .sev(event(try f.required(0, as: Int.self), try f.required(1), try f.required(2), try f.required(3)))
    }
  }
}
