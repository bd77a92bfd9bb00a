import Traces

extension KVMTracepoint {
  static let hyperV: [KVMTracepoint] = hypercalls + syntheticInterrupts + syntheticTimers

  private static let hypercalls: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_hv_hypercall", ["code", "fast", "var_cnt", "rep_cnt", "rep_idx", "ingpa", "outgpa"],
      text: [
        "code {code:x} {fast=fast:1|slow:0} var_cnt {var_cnt:x} rep_cnt {rep_cnt:x} idx {rep_idx:x} in {ingpa:x} "
          + "out {outgpa:x}",
        "code {code:x} {fast=fast:1|slow:0} cnt {rep_cnt:x} idx {rep_idx:x} in {ingpa:x} out {outgpa:x}",
      ]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .hypercall(
          code: try f.required(0, as: UInt16.self), isFast: try f.requiredFlag(1),
          variableHeaderSize: f[2].map { UInt16(truncatingIfNeeded: $0) },
          repeatCount: try f.required(3, as: UInt16.self), repeatStart: try f.required(4, as: UInt16.self),
          input: try f.required(5), output: try f.required(6)))
    },
    KVMTracepoint("kvm_hv_hypercall_done", ["result"], text: ["result {result:x}"]) { f throws(KVMDecodingError) in
      .hyperV(.hypercallDone(result: try f.required(0)))
    },
    KVMTracepoint(
      "kvm_hv_flush_tlb", ["processor_mask", "address_space", "flags", "guest_mode"],
      text: ["processor_mask {processor_mask:x} address_space {address_space:x} flags {flags:x}{guest_mode?(L2)}"]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .flushTLB(
          processors: try f.required(0), addressSpace: try f.required(1), flags: try f.required(2),
          isNested: f.flag(3)))
    },
    KVMTracepoint(
      "kvm_hv_flush_tlb_ex", ["valid_bank_mask", "format", "address_space", "flags", "guest_mode"],
      text: [
        "valid_bank_mask {valid_bank_mask:x} format {format:x} address_space {address_space:x} flags {flags:x}"
          + "{guest_mode?(L2)}"
      ]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .flushTLBOfSet(
          validBanks: try f.required(0), format: try f.required(1), addressSpace: try f.required(2),
          flags: try f.required(3), isNested: f.flag(4)))
    },
    KVMTracepoint(
      "kvm_hv_send_ipi", ["vector", "processor_mask"], text: ["vector {vector:x} processor_mask {processor_mask:x}"]
    ) { f throws(KVMDecodingError) in
      .hyperV(.sendInterrupt(vector: try f.required(0, as: UInt32.self), processors: try f.required(1)))
    },
    KVMTracepoint(
      "kvm_hv_send_ipi_ex", ["vector", "format", "valid_bank_mask"],
      text: ["vector {vector:x} format {format:x} valid_bank_mask {valid_bank_mask:x}"]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .sendInterruptToSet(
          vector: try f.required(0, as: UInt32.self), format: try f.required(1), validBanks: try f.required(2)))
    },
  ]

  private static let syntheticInterrupts: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_hv_synic_set_irq", ["vcpu_id", "sint", "vector", "ret"],
      text: ["vcpu_id {vcpu_id} sint {sint} vector {vector} ret {ret}"]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .syntheticInterrupt(
          vcpu: try f.required(0, as: Int.self), source: try f.required(1, as: UInt32.self),
          vector: try f.required(2, as: Int.self), result: try f.required(3, as: Int.self)))
    },
    KVMTracepoint(
      "kvm_hv_synic_send_eoi", ["vcpu_id", "vector"], text: ["vcpu_id {vcpu_id} vector {vector}"]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .syntheticEndOfInterrupt(vcpu: try f.required(0, as: Int.self), vector: try f.required(1, as: Int.self)))
    },
    KVMTracepoint(
      "kvm_hv_notify_acked_sint", ["vcpu_id", "sint"], text: ["vcpu_id {vcpu_id} sint {sint}"]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .syntheticInterruptAcknowledged(
          vcpu: try f.required(0, as: Int.self), source: try f.required(1, as: UInt32.self)))
    },
    KVMTracepoint(
      "kvm_hv_synic_set_msr", ["vcpu_id", "msr", "data", "host"],
      text: ["vcpu_id {vcpu_id} msr {msr:x} data {data:x} host {host}"]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .setSyntheticMSR(
          vcpu: try f.required(0, as: Int.self), index: try f.required(1, as: UInt32.self), value: try f.required(2),
          byHost: try f.requiredFlag(3)))
    },
    debuggerMSR("kvm_hv_syndbg_get_msr", isWrite: false),
    debuggerMSR("kvm_hv_syndbg_set_msr", isWrite: true),
  ]

  private static func debuggerMSR(_ name: String, isWrite: Bool) -> KVMTracepoint {
    KVMTracepoint(
      name, ["vcpu_id", "vp_index", "msr", "data"],
      text: ["vcpu_id {vcpu_id} vp_index {vp_index} msr {msr:x} data {data:x}"]
    ) { f throws(KVMDecodingError) in
      .hyperV(
        .debuggerMSR(
          isWrite: isWrite, vcpu: try f.required(0, as: Int.self), virtualProcessor: try f.required(1, as: UInt32.self),
          index: try f.required(2, as: UInt32.self), value: try f.required(3)))
    }
  }

  private static let syntheticTimers: [KVMTracepoint] = [
    timer("kvm_hv_stimer_set_config", ["config", "host"], text: "config {config:x} host {host}") {
      vcpu, timer, f throws(KVMDecodingError) in
      .setTimerConfiguration(
        vcpu: vcpu, timer: timer, configuration: try f.required(2), byHost: try f.requiredFlag(3))
    },
    timer("kvm_hv_stimer_set_count", ["count", "host"], text: "count {count} host {host}") {
      vcpu, timer, f throws(KVMDecodingError) in
      .setTimerCount(vcpu: vcpu, timer: timer, count: try f.required(2), byHost: try f.requiredFlag(3))
    },
    timer("kvm_hv_stimer_start_one_shot", ["time_now", "count"], text: "time_now {time_now} count {count}") {
      vcpu, timer, f throws(KVMDecodingError) in
      .startOneShotTimer(vcpu: vcpu, timer: timer, now: try f.required(2), expiration: try f.required(3))
    },
    timer("kvm_hv_stimer_start_periodic", ["time_now", "exp_time"], text: "time_now {time_now} exp_time {exp_time}") {
      vcpu, timer, f throws(KVMDecodingError) in
      .startPeriodicTimer(vcpu: vcpu, timer: timer, now: try f.required(2), expiration: try f.required(3))
    },
    timer(
      "kvm_hv_stimer_expiration", ["direct", "msg_send_result"],
      text: "direct {direct} send result {msg_send_result}"
    ) { vcpu, timer, f throws(KVMDecodingError) in
      .timerExpired(
        vcpu: vcpu, timer: timer, isDirect: try f.requiredFlag(2), result: try f.required(3, as: Int.self))
    },
    timer("kvm_hv_stimer_callback", [], text: "") { vcpu, timer, _ in .timerCallback(vcpu: vcpu, timer: timer) },
    timer("kvm_hv_stimer_cleanup", [], text: "") { vcpu, timer, _ in .timerCleanup(vcpu: vcpu, timer: timer) },
  ]

  /// A tracepoint of one of a vCPU's four synthetic timers.
  private static func timer(
    _ name: String, _ fields: [String], text: String,
    event: @escaping @Sendable (_ vcpu: Int, _ timer: Int, KVMFieldValues) throws(KVMDecodingError) -> HyperVEvent
  ) -> KVMTracepoint {
    KVMTracepoint(
      name, ["vcpu_id", "timer_index"] + fields, text: ["vcpu_id {vcpu_id} timer {timer_index} \(text)"]
    ) { f throws(KVMDecodingError) in
      .hyperV(try event(try f.required(0, as: Int.self), try f.required(1, as: Int.self), f))
    }
  }
}
