/// Which of KVM's tracepoints a run records, and why these.
public struct EventChoice: Hashable, Sendable {
  public var selectors: [TracepointSelector]
  /// What decided it, as the end of a sentence: `because kvm_pvm emulates …`.
  public var reason: String

  public init(_ selectors: [TracepointSelector], reason: String) {
    self.selectors = selectors
    self.reason = reason
  }
}

extension EventChoice {
  /// What a death cannot be understood without: how KVM returned to QEMU, the faults before that, and the page walks.
  private static let essential =
    ["kvm_exit", "kvm_userspace_exit", "kvm_inj_exception", "kvm_page_fault"].map(kvm)
    + ["kvm_mmu_pagetable_walk", "kvm_mmu_paging_element", "kvm_mmu_walker_error"].map {
      TracepointSelector(system: "kvmmmu", name: $0)
    }

  /// What tells of the guest's last acts.
  private static let circumstances = [
    "kvm_cr", "kvm_msr", "kvm_cpuid", "kvm_pio", "kvm_inj_virq", "kvm_nested_vmenter_failed",
    "kvm_nested_vmenter", "kvm_nested_vmexit", "kvm_nested_vmexit_inject",
  ].map(kvm)

  /// What tells when KVM did its work, and with which values.
  ///
  /// Where KVM leaves the instructions to the processor these are left out: kvm_entry says nothing that the next kvm_exit
  /// does not, and of kvm_mmio only the values are new, for what QEMU has to serve shows as kvm_userspace_exit. Of the
  /// events of a guest of 0.3 s 21300 were kvm_mmio, of firmware that clears the screen, and 6700 kvm_entry, of 46800 with
  /// NPT and of 45900 with shadow paging (Linux 6.1); each took 1400 instructions. Without EPT, kvm_intel emulates real
  /// mode for many instructions on end (arch/x86/kvm/vmx/vmx.c: handle_invalid_guest_state, 6.1), and only kvm_entry shows
  /// where that ended.
  private static let details = ["kvm_entry", "kvm_mmio"].map(kvm)

  private static func kvm(_ name: String) -> TracepointSelector { TracepointSelector(system: "kvm", name: name) }

  /// The events that tell how a guest came to its end, as far as they cost a guest on this host next to nothing.
  ///
  /// Not all hundred of them: turning off one waits for the kernel's grace periods, 35 ms each on a 6.18 host with two
  /// processors, so that a process that recorded all took 4.5 s to go.
  ///
  /// kvm_emulate_insn decides the cost. Its filter does not: the kernel assembles each record before it drops it.
  /// - kvm_pvm emulates a guest instruction by instruction, 6.5 million of the 6.9 million events of a guest's boot. With
  ///   the event, all filtered out, that took 9 % longer; without, no difference could be measured. The last
  ///   instruction is in the registers, which survive there, and QEMU prints the bytes of one that could not be emulated.
  /// - With shadow paging each write to a page table in use is emulated: only failures are kept, so that the others do not
  ///   push the rest out.
  /// - With EPT and NPT little is emulated, and what was is worth knowing.
  public static func suited(to host: HostKVM) -> EventChoice {
    let common = essential + circumstances
    guard let module = host.vendorModule?.value else {
      return EventChoice(
        common + details + [emulation(failuresOnly: true)], reason: "which KVM module runs the guest is not known")
    }
    if module == "kvm_pvm" {
      return EventChoice(
        common + details, reason: "kvm_pvm emulates every instruction, so kvm_emulate_insn is left out")
    }
    guard host.usesTwoDimensionalPaging?.value == true else {
      return EventChoice(
        common + (module == "kvm_amd" ? [] : details) + [emulation(failuresOnly: true)],
        reason: "\(module) shadows the guest's page tables here, so of kvm_emulate_insn only failures are kept")
    }
    return EventChoice(
      common + [emulation(failuresOnly: false)],
      reason: "\(module) leaves the guest's page tables to the processor and emulates little")
  }

  private static func emulation(failuresOnly: Bool) -> TracepointSelector {
    TracepointSelector(system: "kvm", name: "kvm_emulate_insn", filter: failuresOnly ? "failed==1" : nil)
  }

  /// The fewest events that are worth recording, for where the kernel does not let all be.
  static let least = EventChoice(
    essential, reason: "the kernel does not let more be recorded")
}
