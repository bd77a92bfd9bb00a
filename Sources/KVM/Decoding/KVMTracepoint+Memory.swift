import Traces
import X86

extension KVMTracepoint {
  static let asyncPageFaults: [KVMTracepoint] = [
    asyncFault("kvm_try_async_get_page", text: "gva = {gva:x}, gfn = {gfn:x}", "gfn") {
      .begin(guestAddress: $0, frame: $1)
    },
    asyncFault("kvm_async_pf_repeated_fault", text: "gva = {gva:x}, gfn = {gfn:x}", "gfn") {
      .repeat(guestAddress: $0, frame: $1)
    },
    asyncFault("kvm_async_pf_doublefault", text: "gva = {gva:x}, gfn = {gfn:x}", "gfn") {
      .repeat(guestAddress: $0, frame: $1)
    },
    asyncFault("kvm_async_pf_not_present", text: "token {token:x} gva {gva:x}", "token") {
      .notPresent(token: $1, guestAddress: $0)
    },
    asyncFault("kvm_async_pf_ready", text: "token {token:x} gva {gva:x}", "token") {
      .ready(token: $1, guestAddress: $0)
    },
    asyncFault("kvm_async_pf_completed", text: "gva {gva:x} address {address:x}", "address") {
      .completed(guestAddress: $0, hostAddress: $1)
    },
  ]

  private static func asyncFault(
    _ name: String, text: String, _ field: String,
    event: @escaping @Sendable (_ guestAddress: UInt64, UInt64) -> AsyncPageFaultEvent
  ) -> KVMTracepoint {
    KVMTracepoint(name, ["gva", field], text: [text]) { f throws(KVMDecodingError) in
      .asyncPageFault(event(try f.required(0), try f.required(1)))
    }
  }

  static let dirtyLogs: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_dirty_ring_push", ["index", "dirty_index", "reset_index", "slot", "offset"],
      text: ["ring {index}: dirty {dirty_index:x} reset {reset_index:x} slot {slot} offset {offset:x} (used {*})"]
    ) { f throws(KVMDecodingError) in
      .dirtyLog(
        .push(
          ring: try f.required(0, as: Int.self), dirty: try f.required(1, as: UInt32.self),
          reset: try f.required(2, as: UInt32.self), slot: try f.required(3, as: UInt32.self),
          offset: try f.required(4)))
    },
    KVMTracepoint(
      "kvm_dirty_ring_reset", ["index", "dirty_index", "reset_index"],
      text: ["ring {index}: dirty {dirty_index:x} reset {reset_index:x} (used {*})"]
    ) { f throws(KVMDecodingError) in
      .dirtyLog(
        .reset(
          ring: try f.required(0, as: Int.self), dirty: try f.required(1, as: UInt32.self),
          reset: try f.required(2, as: UInt32.self)))
    },
    KVMTracepoint("kvm_dirty_ring_exit", ["vcpu_id"], text: ["vcpu {vcpu_id}"]) { f throws(KVMDecodingError) in
      .dirtyLog(.ringFull(vcpu: try f.required(0, as: Int.self)))
    },
    KVMTracepoint("kvm_pml_full", ["vcpu_id"], text: ["vcpu {vcpu_id}: PML full"]) { f throws(KVMDecodingError) in
      .dirtyLog(.pageModificationLogFull(vcpu: try f.required(0, as: Int.self)))
    },
  ]

  static let hostMemory: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_unmap_hva_range", ["start", "end"], text: ["mmu notifier unmap range: {start:x} -- {end:x}"]
    ) { f throws(KVMDecodingError) in .hostMemory(.unmap(start: try f.required(0), end: try f.required(1))) },
    KVMTracepoint("kvm_age_hva", ["start", "end"], text: ["mmu notifier age hva: {start:x} -- {end:x}"]) {
      f throws(KVMDecodingError) in .hostMemory(.age(start: try f.required(0), end: try f.required(1)))
    },
    KVMTracepoint("kvm_test_age_hva", ["hva"], text: ["mmu notifier test age hva: {hva:x}"]) {
      f throws(KVMDecodingError) in .hostMemory(.testAge(address: try f.required(0)))
    },
    KVMTracepoint(
      "kvm_age_page", ["hva", "gfn", "referenced", "level"],
      text: [
        "hva {hva:x} gfn {gfn:x} level {level} {referenced=YOUNG:1|OLD:0}",
        "hva {hva:x} gfn {gfn:x} {referenced=YOUNG:1|OLD:0}",
      ]
    ) { f throws(KVMDecodingError) in
      .hostMemory(.aged(address: try f.required(0), frame: try f.required(1), wasUsed: try f.requiredFlag(2)))
    },
    KVMTracepoint("kvm_set_spte_hva", ["hva"], text: ["mmu notifier set pte hva: {hva:x}"]) {
      f throws(KVMDecodingError) in .hostMemory(.setEntry(address: try f.required(0)))
    },
    KVMTracepoint("kvm_vm_set_mem_attributes", ["start", "end", "attr"], text: ["{start:x} -- {end:x} [{attr:x}]"]) {
      f throws(KVMDecodingError) in
      .hostMemory(
        .setAttributes(start: try f.required(0), end: try f.required(1), attributes: try f.required(2)))
    },
  ]
}
