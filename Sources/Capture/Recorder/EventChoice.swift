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

  /// Where KVM enters the guest. With EPT and NPT it says nothing that the next kvm_exit does not. With shadow paging KVM injects page faults of
  /// the guest, and only this tells at which instruction.
  private static let entry = kvm("kvm_entry")

  /// Of an instruction that accesses a device's memory, the address and the value. Only kvm_pvm's is recorded, which emulates that instruction and
  /// all others: what QEMU has to serve shows as kvm_userspace_exit. Of the 45900 events of a guest of 0.3 s with shadow paging 21300 were these, of
  /// firmware that clears the screen, and each took 1400 instructions; 6700 were kvm_entry (Linux 6.1).
  private static let deviceMemory = kvm("kvm_mmio")

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
        common + [entry, deviceMemory, emulation(failuresOnly: true)],
        reason: "which KVM module runs the guest is not known")
    }
    if module == "kvm_pvm" {
      return EventChoice(
        common + [entry, deviceMemory], reason: "kvm_pvm emulates every instruction, so kvm_emulate_insn is left out")
    }
    guard host.usesTwoDimensionalPaging?.value == true else {
      return EventChoice(
        common + [entry, emulation(failuresOnly: true)],
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
