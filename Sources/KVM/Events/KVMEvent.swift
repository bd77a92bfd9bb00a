public import X86

/// What a kvm or kvmmmu tracepoint says (arch/x86/kvm/trace.h, mmu/mmutrace.h, include/trace/events/kvm.h).
///
/// A field that some kernels do not record is optional.
public enum KVMEvent: Hashable, Sendable {
  /// kvm_entry: the vCPU is about to run the guest.
  case entry(vcpu: Int?, rip: UInt64?)
  /// kvm_exit: the vCPU left the guest.
  case exit(KVMExit)
  /// kvm_page_fault: an intercepted #PF, an EPT violation or a nested page fault.
  case pageFault(address: UInt64, errorCode: UInt64, rip: UInt64?)
  /// kvm_inj_exception: KVM itself puts an exception into the guest.
  case injectException(vector: ExceptionVector, errorCode: UInt32?, isReinjected: Bool)
  /// kvm_mmu_pagetable_walk: KVM begins to walk the guest's tables for this access.
  case pagetableWalk(address: LinearAddress, access: PageFaultErrorCode)
  /// kvm_mmu_paging_element: the entry that the walk read at this level (4 is the PML4).
  case pagingElement(entry: UInt64, level: Int)
  /// kvm_mmu_walker_error: the walk failed; this is the #PF error code that results.
  case walkerError(PageFaultErrorCode)
  /// kvm_emulate_insn: the emulator decoded an instruction, or failed to emulate it.
  case emulateInstruction(KVMEmulation)
  /// kvm_userspace_exit: KVM_RUN returns to QEMU. `errno` is negative if it returns an error, else nil. The reason then
  /// does not count: it is `interrupted` for -EINTR and `unknown` for other errors, as the kernel prints none.
  ///
  /// Texts of trace-cmd and perf hide such returns: libtraceevent 1.7.1 reads errno as unsigned and prints the stale
  /// reason, often `KVM_EXIT_UNKNOWN (0)` (measured against the kernel's own text, Linux 6.18).
  case userspaceExit(reason: UserspaceExitReason, errno: Int32?)
  /// kvm_cr: a control-register access that KVM intercepts. Intel's is traced before the value is checked.
  case controlRegister(isWrite: Bool, number: Int, value: UInt64)
  /// kvm_msr.
  case msr(isWrite: Bool, index: UInt32, value: UInt64, faulted: Bool)
  /// kvm_cpuid: what the guest was told.
  case cpuid(function: UInt32, index: UInt32?, eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32, found: Bool?)
  /// kvm_pio: the first item of a port access.
  case portIO(isWrite: Bool, port: UInt16, size: Int, count: Int, value: UInt32?)
  /// kvm_mmio.
  case mmio(KVMMMIO)
  /// kvm_fast_mmio: a write that an ioeventfd takes, without emulation; Intel only.
  case fastMMIO(address: PhysicalAddress)
  /// kvm_fpu: the guest's FPU state is loaded at the start of KVM_RUN and unloaded at its end.
  case fpu(isLoaded: Bool)

  /// kvm_inj_virq: an interrupt is put into the guest. `isSoft`: INT n.
  case injectInterrupt(vector: UInt8, isSoft: Bool, isReinjected: Bool)
  /// kvm_apic: an access to the emulated local APIC; the register is its offset in the APIC's page.
  case apic(isWrite: Bool, register: UInt32, value: UInt64)
  /// kvm_apic_ipi: the guest sends an interrupt to other vCPUs.
  case interprocessorInterrupt(destination: UInt32, vector: UInt8, delivery: InterruptDelivery)
  /// kvm_apic_accept_irq and kvm_apicv_accept_irq: a local APIC took an interrupt.
  case acceptInterrupt(apicID: UInt32, vector: UInt8, delivery: InterruptDelivery)
  /// kvm_eoi: the guest ended the handling of an interrupt.
  case endOfInterrupt(apicID: UInt32, vector: Int)
  /// kvm_pv_eoi: likewise, found in a flag that the guest shares with KVM.
  case paravirtualEndOfInterrupt(apicID: UInt32, vector: Int)
  /// kvm_ioapic_delayed_eoi_inj: a level-triggered interrupt that came too often is injected again, later.
  case delayedEndOfInterrupt(vector: UInt8, delivery: InterruptDelivery, isMasked: Bool)
  /// kvm_set_irq: a device's line changed.
  case interruptLine(gsi: UInt32, level: Int)
  /// kvm_ioapic_set_irq: a line of the I/O APIC changed. `isCoalesced`: the interrupt was already pending.
  case ioapicLine(pin: Int, vector: UInt8, isMasked: Bool, isCoalesced: Bool)
  /// kvm_pic_set_irq: a line of an 8259 changed; chip 0 is the master.
  case picLine(chip: Int, pin: Int, isMasked: Bool, isCoalesced: Bool)
  /// kvm_msi_set_irq: a message-signalled interrupt.
  case messageInterrupt(vector: UInt8, delivery: InterruptDelivery)
  /// kvm_ack_irq: the guest acknowledged an interrupt; chip 0 and 1 are the 8259s, 2 is the I/O APIC.
  case acknowledgeInterrupt(chip: Int, pin: Int)
  /// kvm_vcpu_wakeup: a halted vCPU runs again, or was polled for, after this many nanoseconds.
  case wakeup(nanoseconds: Int64, isWait: Bool)
  /// kvm_halt_poll_ns: how long a halted vCPU is polled for changes.
  case haltPolling(vcpu: Int, old: UInt32, new: UInt32)
  /// kvm_ple_window_update, in 4.x kvm_ple_window: how long a loop of PAUSE may run before an exit changes.
  case pauseLoopWindow(vcpu: Int, old: UInt32, new: UInt32)
  /// kvm_pv_tlb_flush: a vCPU runs again; whether another one asked it for a flush meanwhile.
  case paravirtualTLBFlush(vcpu: Int, isNeeded: Bool)
  /// kvm_apicv_inhibit_changed, kvm_pi_irte_update and kvm_avic_*.
  case apicVirtualization(APICVirtualizationEvent)
  /// The TSC, kvmclock and the APIC's timer.
  case clock(ClockEvent)
  /// kvm_smm_transition, in kernels before 5.15 kvm_enter_smm.
  case systemManagementMode(vcpu: Int?, base: UInt64, isEntry: Bool)
  /// kvm_hypercall.
  case hypercall(number: UInt64, a0: UInt64, a1: UInt64, a2: UInt64, a3: UInt64)
  /// kvm_xen_hypercall. 6.1 does not record the privilege level.
  case xenHypercall(
    number: UInt64, a0: UInt64, a1: UInt64, a2: UInt64, a3: UInt64, a4: UInt64, a5: UInt64, privilegeLevel: UInt8?)
  /// kvm_hv_*.
  case hyperV(HyperVEvent)
  /// kvm_vmgexit_* and kvm_rmp_fault.
  case sev(SEVEvent)

  /// kvm_nested_vmenter, kvm_nested_vmrun: a hypervisor in the guest enters its own guest.
  case nestedEntry(KVMNestedEntry)
  /// kvm_nested_vmenter_failed: the checks of such an entry refused it.
  case nestedEntryFailed(message: String, error: UInt32?)
  /// kvm_nested_vmexit: the guest's guest was left.
  case nestedExit(KVMExit)
  /// kvm_nested_vmexit_inject: such an exit is handed to the hypervisor in the guest.
  case nestedExitReflected(KVMReflectedExit)
  /// kvm_nested_intr_vmexit: the guest's guest is left because of an interrupt.
  case nestedInterruptExit(rip: UInt64)
  /// kvm_nested_intercepts: what AMD's hypervisor in the guest intercepts (APM vol. 2, appendix B: the vectors at
  /// offset 000h). `instructions` has bits 31:0 at offset 00Ch; 4.x has no `extended`, of offset 014h.
  case nestedIntercepts(
    controlReads: UInt16, controlWrites: UInt16, exceptions: UInt32, instructions: UInt64, extended: UInt32?)
  /// kvm_invlpga.
  case invalidatePage(rip: UInt64, asid: UInt32, address: LinearAddress)
  /// kvm_skinit.
  case secureInit(rip: UInt64, loaderBlock: UInt32)

  /// kvm_mmu_get_page, _sync_page, _unsync_page and _prepare_zap_page: a page of KVM's own page tables.
  case shadowPage(KVMShadowPage)
  /// kvm_mmu_set_spte: an entry of KVM's page tables is written; `frame` is the guest's page frame number.
  case setSPTE(frame: UInt64, entry: UInt64, level: Int)
  /// kvm_tdp_mmu_spte_changed.
  case spteChanged(frame: UInt64, old: UInt64, new: UInt64, level: Int)
  /// kvm_mmu_spte_requested: a fault was resolved and is about to be mapped.
  case spteRequested(frame: UInt64, hostFrame: UInt64, level: Int)
  /// mark_mmio_spte: an entry is marked as one of no memory, so that accesses to it are emulated.
  case markMMIO(frame: UInt64, access: UInt32)
  /// handle_mmio_page_fault: a fault on such an entry. The address is virtual with shadow paging.
  case mmioPageFault(address: UInt64, frame: UInt64, access: UInt32)
  /// check_mmio_spte: whether such an entry is still of the current generation of memory slots.
  case checkMMIO(entry: UInt64, isValid: Bool)
  /// vcpu_match_mmio: the emulator knows from before that this address is no memory, so that no walk follows.
  case matchMMIO(linear: LinearAddress, physical: PhysicalAddress, isWrite: Bool)
  /// fast_page_fault: a fault that could be resolved by changing one entry.
  case fastPageFault(vcpu: Int, address: UInt64, old: UInt64, new: UInt64)
  /// kvm_mmu_set_accessed_bit: KVM's walk sets A in the guest entry at this address.
  case setAccessed(address: PhysicalAddress)
  /// kvm_mmu_set_dirty_bit: likewise D.
  case setDirty(address: PhysicalAddress)
  /// kvm_mmu_zap_all_fast, in 4.x kvm_mmu_invalidate_zap_all_pages: all of KVM's page tables are dropped, as after a
  /// change of memory slots.
  case zapAll(pageCount: UInt32)
  /// kvm_mmu_split_huge_page.
  case splitHugePage(frame: UInt64, level: Int, errno: Int32)

  /// kvm_try_async_get_page and kvm_async_pf_*.
  case asyncPageFault(AsyncPageFaultEvent)
  /// kvm_dirty_ring_* and kvm_pml_full.
  case dirtyLog(DirtyLogEvent)
  /// The notifications of the host's memory management, and kvm_vm_set_mem_attributes.
  case hostMemory(HostMemoryEvent)

  /// A probe on one of KVM's functions.
  case functionCall(KVMFunctionCall)
  /// Any other event, kept by name.
  case other(name: String, text: String)
  /// A line or record that bears an event's name and could not be decoded, with the reason.
  case undecodable(name: String, reason: String)
}
