/// What the tracepoints of kvm and kvmmmu tell, each in a line.
///
/// From where they are called in arch/x86/kvm and virt/kvm (Linux 6.1 to 6.18).
public enum TracepointMeanings {
  /// The meaning of an event; nil for one that is not known here.
  public static func meaning(of name: String, in system: String) -> String? {
    switch system {
    case "kvm": kvm[name]
    case "kvmmmu": mmu[name]
    default: nil
    }
  }

  /// The events that are known, by system, in order of their names.
  public static var all: [(system: String, name: String, meaning: String)] {
    [("kvm", kvm), ("kvmmmu", mmu)].flatMap { system, table in
      table.sorted { $0.key < $1.key }.map { (system, $0.key, $0.value) }
    }
  }

  private static let kvm: [String: String] = [
    "kvm_entry": "KVM enters the guest on a vCPU, at this RIP",
    "kvm_exit": "the guest left to KVM: why, and where its RIP was",
    "kvm_userspace_exit": "KVM returns to QEMU with this reason; KVM_EXIT_SHUTDOWN is a triple fault",
    "kvm_inj_exception": "KVM raises an exception in the guest, with its error code",
    "kvm_inj_virq": "KVM delivers an interrupt to the guest",
    "kvm_page_fault":
      "an access to guest memory that KVM must resolve: address and error code (#PF, EPT violation, #NPF)",
    "kvm_emulate_insn": "KVM emulates an instruction, or fails to",
    "kvm_cr": "the guest reads or writes a control register",
    "kvm_msr": "the guest reads or writes an MSR; #GP where it may not",
    "kvm_cpuid": "the guest executes CPUID: leaf, and what it is told",
    "kvm_pio": "the guest reads or writes an I/O port",
    "kvm_mmio": "the guest reads or writes device memory",
    "kvm_fast_mmio": "a write to device memory that only signals, handled without decoding the instruction",
    "vcpu_match_mmio": "an address is known to be device memory, so no walk is made for it",
    "kvm_hypercall": "the guest calls KVM (VMCALL, VMMCALL)",
    "kvm_xen_hypercall": "the guest calls Xen's interface, which KVM or QEMU answers",
    "kvm_hv_hypercall": "the guest calls Hyper-V's interface",
    "kvm_hv_hypercall_done": "the answer to a call of Hyper-V's interface",
    "kvm_apic": "the guest reads or writes a register of its local APIC",
    "kvm_apic_ipi": "a vCPU sends an interrupt to others",
    "kvm_apic_accept_irq": "a local APIC accepts an interrupt, to be delivered later",
    "kvm_eoi": "the guest ends an interrupt (EOI)",
    "kvm_pv_eoi": "the guest ended an interrupt without an exit (paravirtual EOI)",
    "kvm_ioapic_set_irq": "the I/O APIC sees a line change and forwards it",
    "kvm_ioapic_delayed_eoi_inj": "the I/O APIC delays a level interrupt that comes again at once",
    "kvm_pic_set_irq": "the 8259 sees a line change",
    "kvm_msi_set_irq": "a device sends a message-signalled interrupt",
    "kvm_set_irq": "a line of an interrupt controller changes",
    "kvm_ack_irq": "an interrupt controller hears that its interrupt was taken",
    "kvm_vcpu_wakeup": "a halted vCPU wakes: after polling, or after sleeping",
    "kvm_halt_poll_ns": "how long KVM polls before a halted vCPU sleeps changes",
    "kvm_wait_lapic_expire": "KVM waits until the guest's APIC timer is due",
    "kvm_smm_transition": "a vCPU enters or leaves system management mode",
    "kvm_fpu": "the guest's FPU registers are loaded or put away",
    "kvm_write_tsc_offset": "the difference between the guest's TSC and the host's changes",
    "kvm_track_tsc": "KVM compares the TSCs of the vCPUs",
    "kvm_update_master_clock": "KVM decides whether all vCPUs can share one clock",
    "kvm_pvclock_update": "the guest's paravirtual clock is set",
    "kvm_pv_tlb_flush": "the guest asks KVM to flush other vCPUs' TLBs",
    "kvm_invlpga": "a guest's hypervisor executes INVLPGA (AMD)",
    "kvm_skinit": "the guest executes SKINIT (AMD)",
    "kvm_nested_vmrun": "a guest's hypervisor starts its own guest (AMD; VMRUN)",
    "kvm_nested_vmenter": "a guest's hypervisor starts its own guest",
    "kvm_nested_vmenter_failed": "a guest's hypervisor could not start its own guest: which check failed",
    "kvm_nested_intercepts": "what a guest's hypervisor wants to intercept (AMD)",
    "kvm_nested_vmexit": "the guest's guest exits",
    "kvm_nested_vmexit_inject": "an exit of the guest's guest goes to the guest's hypervisor",
    "kvm_nested_intr_vmexit": "an interrupt ends the run of the guest's guest (AMD)",
    "kvm_ple_window_update": "how long a vCPU may spin before it exits (PAUSE) changes",
    "kvm_pml_full": "the processor's log of written pages is full (Intel)",
    "kvm_dirty_ring_push": "a written page is noted in a dirty ring",
    "kvm_dirty_ring_reset": "QEMU has taken pages from a dirty ring",
    "kvm_dirty_ring_exit": "a vCPU leaves to QEMU because its dirty ring is full",
    "kvm_try_async_get_page": "a page is not in memory; KVM fetches it while the guest goes on",
    "kvm_async_pf_not_present": "the guest is told to do something else until a page has come",
    "kvm_async_pf_repeated_fault": "the guest touches a page again that is still being fetched",
    "kvm_async_pf_ready": "the guest is told that a page has come",
    "kvm_async_pf_completed": "a page that was fetched meanwhile has come",
    "kvm_unmap_hva_range": "the host takes memory away from under the guest",
    "kvm_set_spte_hva": "the host changes a page under the guest",
    "kvm_age_hva": "the host asks whether the guest used this memory, and forgets it",
    "kvm_test_age_hva": "the host asks whether the guest used this memory",
    "kvm_apicv_inhibit_changed": "the processor's own APIC virtualization is turned on or off, and why",
    "kvm_apicv_accept_irq": "an interrupt is posted to a running vCPU (APIC virtualization)",
    "kvm_pi_irte_update": "a device's interrupts go to a vCPU directly (posted interrupts)",
    "kvm_avic_incomplete_ipi": "AMD's AVIC could not deliver an interrupt between vCPUs by itself",
    "kvm_avic_unaccelerated_access": "an APIC register that AMD's AVIC leaves to KVM",
    "kvm_avic_ga_log": "AMD's IOMMU has an interrupt for a vCPU that does not run",
    "kvm_avic_kick_vcpu_slowpath": "AMD's AVIC must wake a vCPU the slow way",
    "kvm_avic_doorbell": "KVM rings AMD's AVIC doorbell for a running vCPU",
    "kvm_hv_notify_acked_sint": "Hyper-V's SynIC: the guest acknowledged a synthetic interrupt",
    "kvm_hv_synic_set_irq": "Hyper-V's SynIC raises a synthetic interrupt",
    "kvm_hv_synic_send_eoi": "Hyper-V's SynIC: end of a synthetic interrupt",
    "kvm_hv_synic_set_msr": "Hyper-V's SynIC: the guest writes one of its MSRs",
    "kvm_hv_stimer_set_config": "Hyper-V's timer is configured",
    "kvm_hv_stimer_set_count": "Hyper-V's timer gets its count",
    "kvm_hv_stimer_start_periodic": "Hyper-V's timer starts, again and again",
    "kvm_hv_stimer_start_one_shot": "Hyper-V's timer starts, once",
    "kvm_hv_stimer_callback": "Hyper-V's timer is due",
    "kvm_hv_stimer_expiration": "Hyper-V's timer sends its message",
    "kvm_hv_stimer_cleanup": "Hyper-V's timer is stopped",
    "kvm_hv_timer_state": "which timer stands for the guest's APIC timer: the processor's or the host's",
    "kvm_hv_flush_tlb": "the guest flushes TLBs by Hyper-V's interface",
    "kvm_hv_flush_tlb_ex": "the guest flushes TLBs by Hyper-V's interface, processors given as a sparse set",
    "kvm_hv_send_ipi": "the guest sends interrupts by Hyper-V's interface",
    "kvm_hv_send_ipi_ex": "the guest sends interrupts by Hyper-V's interface, processors given as a sparse set",
    "kvm_hv_syndbg_set_msr": "Hyper-V's debugger: the guest writes one of its MSRs",
    "kvm_hv_syndbg_get_msr": "Hyper-V's debugger: the guest reads one of its MSRs",
    "kvm_vmgexit_enter": "an SEV-ES guest asks KVM for something (VMGEXIT)",
    "kvm_vmgexit_exit": "KVM has answered an SEV-ES guest",
    "kvm_vmgexit_msr_protocol_enter": "an SEV-ES guest asks KVM through the GHCB MSR",
    "kvm_vmgexit_msr_protocol_exit": "KVM has answered through the GHCB MSR",
    "kvm_rmp_fault": "an SEV-SNP guest touches a page that the RMP does not give it",
  ]

  private static let mmu: [String: String] = [
    "kvm_mmu_pagetable_walk": "KVM walks the guest's page tables for an address, with this access",
    "kvm_mmu_paging_element": "an entry that KVM read on this walk",
    "kvm_mmu_walker_error": "the walk failed: the error code of the guest's page fault",
    "kvm_mmu_set_accessed_bit": "KVM sets A in an entry of the guest's page tables",
    "kvm_mmu_set_dirty_bit": "KVM sets D in an entry of the guest's page tables",
    "kvm_mmu_get_page": "KVM makes or finds a table of its own (shadow, EPT or NPT)",
    "kvm_mmu_sync_page": "KVM brings a shadow table in step with the guest's",
    "kvm_mmu_unsync_page": "a shadow table may differ from the guest's until the next flush",
    "kvm_mmu_prepare_zap_page": "KVM throws a table of its own away",
    "kvm_mmu_zap_all_fast": "KVM throws all tables of its own away",
    "kvm_mmu_invalidate_zap_all_pages": "KVM throws all tables of its own away (older kernels)",
    "kvm_mmu_set_spte": "KVM writes an entry of its own tables",
    "kvm_mmu_spte_requested": "a fault wants a page mapped at this level",
    "kvm_mmu_split_huge_page": "KVM splits a large page of its own tables",
    "kvm_tdp_mmu_spte_changed": "an entry of KVM's EPT or NPT changes",
    "fast_page_fault": "a fault that KVM mends without its lock: write protection, access tracking",
    "mark_mmio_spte": "KVM notes in its own tables that an address is device memory",
    "check_mmio_spte": "KVM looks whether such a note is still valid",
    "handle_mmio_page_fault": "a fault on an address that is noted as device memory",
  ]
}
