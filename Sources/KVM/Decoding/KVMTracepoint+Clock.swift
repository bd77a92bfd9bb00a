import Traces

extension KVMTracepoint {
  static let clocks: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_write_tsc_offset", ["vcpu_id", "previous_tsc_offset", "next_tsc_offset"],
      text: ["vcpu={vcpu_id} prev={previous_tsc_offset} next={next_tsc_offset}"]
    ) { f throws(KVMDecodingError) in
      .clock(.tscOffset(vcpu: try f.required(0, as: Int.self), old: try f.required(1), new: try f.required(2)))
    },
    KVMTracepoint(
      "kvm_update_master_clock", ["use_master_clock", "host_clock", "offset_matched"],
      text: [
        "masterclock {use_master_clock} hostclock {host_clock=\(hostClocks)} offsetmatched {offset_matched}",
        "masterclock {use_master_clock} hostclock {host_clock:x} offsetmatched {offset_matched}",
      ]
    ) { f throws(KVMDecodingError) in
      .clock(
        .masterClock(
          isUsed: try f.requiredFlag(0), hostClock: try f.required(1, as: UInt32.self),
          offsetsMatch: try f.requiredFlag(2)))
    },
    KVMTracepoint(
      "kvm_track_tsc", ["vcpu_id", "use_master_clock", "nr_vcpus_matched_tsc", "online_vcpus", "host_clock"],
      text: ["{host_clock=\(hostClocks)}", "{host_clock:x}"].map { hostClock in
        "vcpu_id {vcpu_id} masterclock {use_master_clock} offsetmatched {nr_vcpus_matched_tsc} "
          + "nr_online {online_vcpus} hostclock \(hostClock)"
      }
    ) { f throws(KVMDecodingError) in
      .clock(
        .trackTSC(
          vcpu: try f.required(0, as: Int.self), isMasterClockUsed: try f.requiredFlag(1),
          matching: try f.required(2, as: UInt32.self), online: try f.required(3, as: UInt32.self),
          hostClock: try f.required(4, as: UInt32.self)))
    },
    KVMTracepoint(
      "kvm_pvclock_update",
      ["vcpu_id", "version", "tsc_timestamp", "system_time", "tsc_to_system_mul", "tsc_shift", "flags"],
      text: [
        "vcpu_id {vcpu_id}, pvclock {*} version {version}, tsc_timestamp {tsc_timestamp:x}, "
          + "system_time {system_time:x}, tsc_to_system_mul {tsc_to_system_mul:x}, tsc_shift {tsc_shift}, "
          + "flags {flags:x} }"
      ]
    ) { f throws(KVMDecodingError) in
      .clock(
        .pvclock(
          vcpu: try f.required(0, as: Int.self), version: try f.required(1, as: UInt32.self), tsc: try f.required(2),
          systemTime: try f.required(3), multiplier: try f.required(4, as: UInt32.self),
          shift: try f.required(5, as: Int8.self), flags: try f.required(6, as: UInt8.self)))
    },
    KVMTracepoint(
      "kvm_wait_lapic_expire", ["vcpu_id", "delta"], text: ["vcpu {vcpu_id}: delta {delta} ({*})"]
    ) { f throws(KVMDecodingError) in
      .clock(.lapicTimer(vcpu: try f.required(0, as: Int.self), delta: try f.required(1, as: Int64.self)))
    },
    KVMTracepoint(
      "kvm_hv_timer_state", ["vcpu_id", "hv_timer_in_use"], text: ["vcpu_id {vcpu_id:x} hv_timer {hv_timer_in_use:x}"]
    ) { f throws(KVMDecodingError) in
      .clock(.preemptionTimer(vcpu: try f.required(0, as: Int.self), isUsed: try f.requiredFlag(1)))
    },
  ]

  /// What 4.x and later print for the number; libtraceevent prints the number itself, as it does not know the names.
  private static let hostClocks = "none:0|tsc:1|hpet:2"
}
