import KVM
import Testing
import X86

@Suite struct KVMTextTests {
  struct Text: Sendable, CustomTestStringConvertible {
    var name: String
    var text: String
    var event: KVMEvent
    var testDescription: String { "\(name): \(text)" }

    init(_ name: String, _ text: String, _ event: KVMEvent) {
      self.name = name
      self.text = text
      self.event = event
    }
  }

  static let exits: [Text] = [
    Text(
      "kvm_exit", "reason EPT_VIOLATION rip 0xfff0 info 184 80000b0e",
      .exit(
        KVMExit(
          vendor: .vmx, reasonName: "EPT_VIOLATION", reason: 48, rip: 0xfff0, info1: 0x184, info2: 0x8000_0b0e))),
    Text(
      "kvm_exit", "vcpu 3 reason EPT_VIOLATION rip 0xfff0 info 184 0",
      .exit(
        KVMExit(vendor: .vmx, reasonName: "EPT_VIOLATION", reason: 48, rip: 0xfff0, vcpu: 3, info1: 0x184, info2: 0))),
    Text(
      "kvm_exit",
      "vcpu 1 reason shutdown rip 0x10006d info1 0x0000000000000000 info2 0x00000000000000e0 intr_info 0x80000b0e "
        + "error_code 0x00000009",
      .exit(
        KVMExit(
          vendor: .svm, reasonName: "shutdown", reason: 0x7f, rip: 0x10006d, vcpu: 1, info1: 0, info2: 0xe0,
          interruptionInfo: 0x8000_0b0e, errorCode: 9))),
    Text(
      "kvm_exit",
      "vcpu 0 reason INVALID_STATE FAILED_VMENTRY rip 0x7c00 info1 0x0000000000000000 info2 0x0000000000000000 "
        + "intr_info 0x00000000 error_code 0x00000000 requests 0x0000000000000000",
      .exit(
        KVMExit(
          vendor: .vmx, reasonName: "INVALID_STATE", reason: 0x8000_0021, rip: 0x7c00, vcpu: 0, info1: 0, info2: 0,
          interruptionInfo: 0, errorCode: 0))),
    Text(
      "kvm_exit", "reason EXIT_NPF rip 0x1 info 100000014 fee00000",
      .exit(
        KVMExit(
          vendor: .svm, reasonName: "npf", reason: 0x400, rip: 1, info1: 0x1_0000_0014, info2: 0xfee0_0000))),
    Text(
      "kvm_exit", "reason EXIT_EXCP_GP rip 0x1 info 0 0",
      .exit(KVMExit(vendor: .svm, reasonName: "GP excp", reason: 0x4d, rip: 1, info1: 0, info2: 0))),
    Text(
      "kvm_exit", "reason PENDING_INTERRUPT rip 0x1 info 0 0",
      .exit(KVMExit(vendor: .vmx, reasonName: "INTERRUPT_WINDOW", reason: 7, rip: 1, info1: 0, info2: 0))),
    Text(
      "kvm_exit", "reason UNKNOWN (78) rip 0x1 info 0 0",
      .exit(KVMExit(vendor: nil, reasonName: "0x4e", reason: 78, rip: 1, info1: 0, info2: 0))),
    Text(
      "kvm_exit", "reason HC_LOAD_PGTBL rip 0x1 info1 0x1 info2 0x2 intr_info 0x3 error_code 0x4",
      .exit(
        KVMExit(
          vendor: .pvm, reasonName: "HC_LOAD_PGTBL", reason: nil, rip: 1, info1: 1, info2: 2, interruptionInfo: 3,
          errorCode: 4))),
    Text(
      "kvm_nested_vmenter",
      "rip: 0x00000000001000dc vmcb: 0x0000000006000000 nested_rip: 0x0000000000008000 int_ctl: 0x00000000 "
        + "event_inj: 0x00000000 nested_npt=y nested_cr3: 0x0000000000108000",
      .nestedEntry(
        KVMNestedEntry(
          rip: 0x1000DC, nestedRIP: 0x8000, eventInjection: EventInformation(rawValue: 0), usesNestedPaging: true,
          root: 0x108000, vendor: .svm))),
    Text(
      "kvm_nested_vmenter",
      "rip: 0x0000000000000001 vmcs: 0x0000000000000002 nested_rip: 0x0000000000000003 int_ctl: 0x00000000 "
        + "event_inj: 0x00000000 nested_ept=n guest_cr3: 0x0000000000005000",
      .nestedEntry(
        KVMNestedEntry(
          rip: 1, nestedRIP: 3, eventInjection: EventInformation(rawValue: 0), usesNestedPaging: false, root: 0x5000,
          vendor: .vmx))),
    Text(
      "kvm_nested_vmexit", "vcpu 0 reason npf rip 0x1 info1 0x1 info2 0x2 intr_info 0x3 error_code 0x4",
      .nestedExit(
        KVMExit(
          vendor: .svm, reasonName: "npf", reason: 0x400, rip: 1, vcpu: 0, info1: 1, info2: 2, interruptionInfo: 3,
          errorCode: 4))),
  ]

  static let others: [Text] = [
    Text("kvm_entry", "vcpu 2", .entry(vcpu: 2, rip: nil)),
    Text("kvm_entry", "vcpu 0, rip 0xfff0", .entry(vcpu: 0, rip: 0xfff0)),
    Text("kvm_entry", "vcpu 0 rip 0xfff0", .entry(vcpu: 0, rip: 0xfff0)),
    Text("kvm_entry", "vcpu 0, rip 0xfff0[immediate exit]", .entry(vcpu: 0, rip: 0xfff0)),
    Text(
      "kvm_entry", "vcpu 0, rip 0xfff0 intr_info 0x80000b0e error_code 0x00000009", .entry(vcpu: 0, rip: 0xfff0)),
    Text("kvm_page_fault", "address fe05b error_code 14", .pageFault(address: 0xfe05b, errorCode: 0x14, rip: nil)),
    Text(
      "kvm_page_fault", "vcpu 0 rip 0xe05b address 0x00000000000fe05b error_code 0x100000014",
      .pageFault(address: 0xfe05b, errorCode: 0x1_0000_0014, rip: 0xe05b)),
    Text(
      "kvm_inj_exception", "#PF (0x9)", .injectException(vector: .pageFault, errorCode: 9, isReinjected: false)),
    Text(
      "kvm_inj_exception", "#PF (0x9) [reinjected]",
      .injectException(vector: .pageFault, errorCode: 9, isReinjected: true)),
    Text("kvm_inj_exception", "#UD", .injectException(vector: .invalidOpcode, errorCode: nil, isReinjected: false)),
    Text(
      "kvm_inj_exception", "#UD (0x0)", .injectException(vector: .invalidOpcode, errorCode: nil, isReinjected: false)),
    Text(
      "kvm_inj_exception", "0x1f (0x0)",
      .injectException(vector: ExceptionVector(rawValue: 31), errorCode: nil, isReinjected: false)),
    Text(
      "kvm_inj_exception", "[FAILED TO PARSE] exception=14 has_error=1 error_code=9 reinjected=0",
      .injectException(vector: .pageFault, errorCode: 9, isReinjected: false)),
    Text(
      "kvm_inj_exception", "[FAILED TO PARSE] exception=6 has_error=0 error_code=0 reinjected=1",
      .injectException(vector: .invalidOpcode, errorCode: nil, isReinjected: true)),
    Text(
      "kvm_mmu_pagetable_walk", "addr ffffffff81000000 pferr 0",
      .pagetableWalk(address: LinearAddress(0xffff_ffff_8100_0000), access: [])),
    Text(
      "kvm_mmu_pagetable_walk", "addr 7f pferr 6 W|U",
      .pagetableWalk(address: LinearAddress(0x7f), access: [.write, .user])),
    Text("kvm_mmu_walker_error", "pferr 2d P|U|RSVD|0x20", .walkerError([.present, .user, .reserved, .protectionKey])),
    Text("kvm_mmu_walker_error", "pferr 25 P|U|PK", .walkerError([.present, .user, .protectionKey])),
    Text(
      "kvm_mmu_paging_element", "pte 80000000000000e3 level 2", .pagingElement(entry: 0x8000_0000_0000_00e3, level: 2)),
    Text(
      "kvm_emulate_insn", "f0000:ec2f:0f 20 c1 (real)",
      .emulateInstruction(
        KVMEmulation(codeSegmentBase: 0xf0000, rip: 0xec2f, bytes: [0x0f, 0x20, 0xc1], mode: "real", failed: false))),
    Text(
      "kvm_emulate_insn", "0:600000: (prot64)",
      .emulateInstruction(KVMEmulation(codeSegmentBase: 0, rip: 0x600000, bytes: [], mode: "prot64", failed: false))),
    Text(
      "kvm_emulate_insn", "0:133025: ec FAIL",
      .emulateInstruction(KVMEmulation(codeSegmentBase: 0, rip: 0x133025, bytes: [0xec], mode: nil, failed: true))),
    Text(
      "kvm_emulate_insn", "0:133025:fa (0x2) failed",
      .emulateInstruction(KVMEmulation(codeSegmentBase: 0, rip: 0x133025, bytes: [0xfa], mode: "0x2", failed: true))),
    Text("kvm_userspace_exit", "reason KVM_EXIT_SHUTDOWN (8)", .userspaceExit(reason: .shutdown, errno: nil)),
    Text("kvm_userspace_exit", "reason restart (4)", .userspaceExit(reason: .interrupted, errno: -4)),
    Text("kvm_userspace_exit", "reason error (14)", .userspaceExit(reason: .unknown, errno: -14)),
    Text("kvm_userspace_exit", "reason 0x27 (39)", .userspaceExit(reason: .memoryFault, errno: nil)),
    Text("kvm_userspace_exit", "reason KVM_EXIT_MEMORY_FAULT (39)", .userspaceExit(reason: .memoryFault, errno: nil)),
    Text("kvm_cr", "cr_write 4 = 0x6b8", .controlRegister(isWrite: true, number: 4, value: 0x6b8)),
    Text("kvm_cr", "cr_read 3 = 0x1000", .controlRegister(isWrite: false, number: 3, value: 0x1000)),
    Text(
      "kvm_msr", "msr_write c0000080 = 0x100 (#GP)",
      .msr(isWrite: true, index: 0xc000_0080, value: 0x100, faulted: true)),
    Text("kvm_msr", "msr_read 1b = 0xfee00900", .msr(isWrite: false, index: 0x1b, value: 0xfee0_0900, faulted: false)),
    Text(
      "kvm_cpuid", "func 80000001 idx 0 rax 1 rbx 2 rcx 3 rdx 4, cpuid entry not found, used max basic",
      .cpuid(function: 0x8000_0001, index: 0, eax: 1, ebx: 2, ecx: 3, edx: 4, found: false)),
    Text(
      "kvm_cpuid", "func 1 rax 1 rbx 2 rcx 3 rdx 4, cpuid entry found",
      .cpuid(function: 1, index: nil, eax: 1, ebx: 2, ecx: 3, edx: 4, found: true)),
    Text(
      "kvm_pio", "pio_write at 0x3f8 size 1 count 1 val 0x4f",
      .portIO(isWrite: true, port: 0x3f8, size: 1, count: 1, value: 0x4f)),
    Text(
      "kvm_pio", "pio_read at 0x1f0 size 2 count 256 val 0x4f (...)",
      .portIO(isWrite: false, port: 0x1f0, size: 2, count: 256, value: 0x4f)),
    Text(
      "kvm_pio", "pio_read at 0x60 size 1 count 1", .portIO(isWrite: false, port: 0x60, size: 1, count: 1, value: nil)),
    Text(
      "kvm_mmio", "mmio unsatisfied-read len 4 gpa 0xfee00020 val 0x0",
      .mmio(KVMMMIO(kind: .unsatisfiedRead, length: 4, address: PhysicalAddress(0xfee0_0020), value: 0))),
    Text("kvm_inj_virq", "irq 236", .injectInterrupt(vector: 236, isSoft: false, isReinjected: false)),
    Text("kvm_inj_virq", "IRQ 0xec [reinjected]", .injectInterrupt(vector: 0xec, isSoft: false, isReinjected: true)),
    Text("kvm_inj_virq", "Soft/INTn 0x80", .injectInterrupt(vector: 0x80, isSoft: true, isReinjected: false)),
    Text("kvm_apic", "apic_write APIC_ICR2 = 0x1", .apic(isWrite: true, register: 0x310, value: 1)),
    Text("kvm_apic", "apic_read 0x999 = 0x1", .apic(isWrite: false, register: 0x999, value: 1)),
    Text(
      "kvm_apic_ipi", "dst 1 vec 154 (SIPI|physical|assert|edge|dst)",
      .interprocessorInterrupt(destination: 1, vector: 154, delivery: .startUp)),
    Text(
      "kvm_apic_accept_irq", "apicid 0 vec 236 (Fixed|edge)", .acceptInterrupt(apicID: 0, vector: 236, delivery: .fixed)
    ),
    Text(
      "kvm_ioapic_set_irq", "pin 4 dst 0 vec 17 (Fixed|physical|edge|masked) (coalesced)",
      .ioapicLine(pin: 4, vector: 17, isMasked: true, isCoalesced: true)),
    Text(
      "kvm_pic_set_irq", "chip 1 pin 4 (level|masked)", .picLine(chip: 1, pin: 4, isMasked: true, isCoalesced: false)),
    Text("kvm_set_irq", "gsi 4 level 0 source 0", .interruptLine(gsi: 4, level: 0)),
    Text("kvm_ack_irq", "irqchip PIC slave pin 3", .acknowledgeInterrupt(chip: 1, pin: 3)),
    Text("kvm_msi_set_irq", "dst 0 vec 34 (NMI|physical|edge)", .messageInterrupt(vector: 34, delivery: .nmi)),
    Text(
      "kvm_mmu_get_page", "sp gen 0 gfn 102 l4 8-byte q0 wux nxe ad root 0 sync new",
      .shadowPage(
        KVMShadowPage(
          action: .get(isNew: true), frame: 0x102, level: 4, quadrant: 0, isDirect: false,
          access: [.write, .user, .execute], rootCount: 0, isUnsynchronized: false))),
    Text(
      "kvm_mmu_get_page", "[FAILED TO PARSE] mmu_valid_gen=0 gfn=262144 role=6018 root_count=3 unsync=1 created=0",
      .shadowPage(
        KVMShadowPage(
          action: .get(isNew: false), frame: 0x40000, level: 2, quadrant: 0, isDirect: true,
          access: [.write, .user, .execute], rootCount: 3, isUnsynchronized: true))),
    Text(
      "kvm_mmu_prepare_zap_page", "sp gen 1 gfn 3f l1 4-byte q3 direct -u- invalid !nxe !ad root 1 unsync",
      .shadowPage(
        KVMShadowPage(
          action: .prepareZap, frame: 0x3f, level: 1, quadrant: 3, isDirect: true, access: .user, rootCount: 1,
          isUnsynchronized: true))),
    Text(
      "kvm_mmu_sync_page", "sp gfn 3f 1 pae q0 w-x !nxe root 0 sync",
      .shadowPage(
        KVMShadowPage(
          action: .sync, frame: 0x3f, level: 1, quadrant: 0, isDirect: false, access: [.write, .execute], rootCount: 0,
          isUnsynchronized: false))),
    Text(
      "kvm_unmap_hva_range", "mmu notifier unmap range: 0x1000 -- 0x2000",
      .hostMemory(.unmap(start: 0x1000, end: 0x2000))),
    Text("kvm_age_page", "hva 7f00 gfn 9 OLD", .hostMemory(.aged(address: 0x7f00, frame: 9, wasUsed: false))),
    Text("kvm_age_page", "hva 7f00 gfn 9 level 1 YOUNG", .hostMemory(.aged(address: 0x7f00, frame: 9, wasUsed: true))),
    Text(
      "kvm_vm_set_mem_attributes", "0x00000000000100 -- 0x00000000000200 [0x8]",
      .hostMemory(.setAttributes(start: 0x100, end: 0x200, attributes: 8))),
    Text(
      "kvm_enter_smm", "vcpu 0: leaving SMM, smbase 0x30000",
      .systemManagementMode(vcpu: 0, base: 0x30000, isEntry: false)),
    Text(
      "kvm_async_pf_doublefault", "gva = 0x1000, gfn = 0x7", .asyncPageFault(.repeat(guestAddress: 0x1000, frame: 7))),
    Text(
      "kvm_apicv_update_request", "deactivate bit=1",
      .apicVirtualization(.inhibit(reason: 1, isSet: true, inhibits: nil))),
    Text(
      "kvm_apicv_update_request", "activate reason=1",
      .apicVirtualization(.inhibit(reason: 1, isSet: false, inhibits: nil))),
    Text(
      "kvm_apicv_inhibit_changed", "set reason=2, inhibits=0x6 HYPERV|ABSENT",
      .apicVirtualization(.inhibit(reason: 2, isSet: true, inhibits: 6))),
    Text("kvm_ple_window", "vcpu 1: ple_window 8192 (grow 4096)", .pauseLoopWindow(vcpu: 1, old: 4096, new: 8192)),
    Text(
      "kvm_pi_irte_update",
      "VT-d PI is disabled for this irq, vcpu 1, gsi: 0x18, gvec: 0x31, pi_desc_addr: 0x1000",
      .apicVirtualization(
        .postedInterrupt(hostInterrupt: nil, vcpu: 1, gsi: 24, vector: 0x31, isPosted: false))),
    Text(
      "kvm_pi_irte_update",
      "PI is enabled and being updated for irq 60, vcpu 1, gsi: 0x18, gvec: 0x31, pi_desc_addr: 0x1000",
      .apicVirtualization(.postedInterrupt(hostInterrupt: 60, vcpu: 1, gsi: 24, vector: 0x31, isPosted: true))),
    Text(
      "kvm_nested_intercepts", "cr_read: 0001 cr_write: 0002 excp: 00000003 intercept: 0000000400000005",
      .nestedIntercepts(controlReads: 1, controlWrites: 2, exceptions: 3, instructions: 0x4_0000_0005, extended: nil)),
    Text(
      "kvm_nested_vmrun",
      "rip: 0x0000000000000001 vmcb: 0x0000000000000002 nrip: 0x0000000000000003 int_ctl: 0x00000000 "
        + "event_inj: 0x80000030 npt: on",
      .nestedEntry(
        KVMNestedEntry(
          rip: 1, nestedRIP: 3, eventInjection: EventInformation(rawValue: 0x8000_0030), usesNestedPaging: true))),
    Text(
      "kvm_nested_vmexit",
      "rip: 0x0000000000000001 reason: npf ext_inf1: 0x0000000000000002 ext_inf2: 0x0000000000000003 "
        + "ext_int: 0x00000004 ext_int_err: 0x00000005",
      .nestedExit(
        KVMExit(
          vendor: .svm, reasonName: "npf", reason: 0x400, rip: 1, info1: 2, info2: 3, interruptionInfo: 4, errorCode: 5)
      )),
    Text(
      "kvm_nested_vmexit", "rip 7fff0 reason EXTERNAL_INTERRUPT info1 0 info2 0 int_info 800000ef int_info_err 0",
      .nestedExit(
        KVMExit(
          vendor: .vmx, reasonName: "EXTERNAL_INTERRUPT", reason: 1, rip: 0x7fff0, info1: 0, info2: 0,
          interruptionInfo: 0x8000_00ef, errorCode: 0))),
    Text(
      "kvm_nested_vmexit_inject", "reason EXIT_NPF info1 2 info2 3 int_info 4 int_info_err 5",
      .nestedExitReflected(
        KVMReflectedExit(
          vendor: .svm, reasonName: "npf", reason: 0x400, info1: 2, info2: 3, interruptionInfo: 4, errorCode: 5))),
    Text(
      "kvm_hv_hypercall", "code 0x8 slow cnt 0x1 idx 0x0 in 0x10 out 0x20",
      .hyperV(
        .hypercall(
          code: 8, isFast: false, variableHeaderSize: nil, repeatCount: 1, repeatStart: 0, input: 0x10, output: 0x20))),
    Text(
      "kvm_hv_flush_tlb", "processor_mask 0x3 address_space 0x1000 flags 0x2 (L2)",
      .hyperV(.flushTLB(processors: 3, addressSpace: 0x1000, flags: 2, isNested: true))),
    Text(
      "kvm_xen_hypercall", "nr 0x1 a0 0x2 a1 0x3 a2 0x4 a3 0x5 a4 0x6 a5 7",
      .xenHypercall(number: 1, a0: 2, a1: 3, a2: 4, a3: 5, a4: 6, a5: 7, privilegeLevel: nil)),
    Text(
      "kvm_update_master_clock", "masterclock 1 hostclock hpet offsetmatched 0",
      .clock(.masterClock(isUsed: true, hostClock: 2, offsetsMatch: false))),
    Text(
      "kvm_track_tsc", "vcpu_id 1 masterclock 1 offsetmatched 1 nr_online 2 hostclock 0x1",
      .clock(.trackTSC(vcpu: 1, isMasterClockUsed: true, matching: 1, online: 2, hostClock: 1))),
    // An event of a kernel to come may say more.
    Text("kvm_eoi", "apicid 1 vector 236 and more", .endOfInterrupt(apicID: 1, vector: 236)),
  ]

  @Test(arguments: exits + others) func decodes(_ text: Text) {
    #expect(event(text.name, text.text) == text.event)
  }

  @Test(arguments: [
    ("kvm_exit", "reason EPT_VIOLATION rip 0xfff0"), ("kvm_exit", "reason EPT_VIOLATION rip 0xfff0 info 184"),
    ("kvm_exit", "reason"), ("kvm_exit", ""), ("kvm_exit", "vcpu 0 reason npf rip 0x1 info1 0x1"),
    ("kvm_entry", "vcpu"), ("kvm_entry", "vcpu 0, rip"), ("kvm_entry", "vcpu 0, ri"),
    ("kvm_mmu_walker_error", "pferr 9 P|RS"), ("kvm_mmu_walker_error", "pferr 9 P"),
    ("kvm_mmu_walker_error", "pferr 9 P|"),
    ("kvm_mmu_paging_element", "pte a3"), ("kvm_mmu_paging_element", "pte a3 level"),
    ("kvm_userspace_exit", "reason KVM_EXIT_SHUTDOWN (1)"), ("kvm_userspace_exit", "reason KVM_EXIT_SHUTDOWN (8"),
    ("kvm_userspace_exit", "reason KVM_EXIT_SHUT"), ("kvm_inj_exception", "#PF (0x9"), ("kvm_inj_exception", "#P"),
    ("kvm_inj_exception", "[FAILED TO PARSE] exception=14"),
    ("kvm_inj_exception", "[FAILED TO PARSE] exception=14 has_"),
    ("kvm_inj_exception", "[FAILED TO PARSE] has_error=1 error_code=9"),
    ("kvm_inj_exception", "[FAILED TO PARSE] exception=e"),
    ("kvm_emulate_insn", "0:133025"), ("kvm_emulate_insn", "0:133025:ec (pro"),
    ("kvm_emulate_insn", "0:133025: ec FAI"),
    ("kvm_nested_vmexit", "rip 1 reason npf info1 2"), ("kvm_nested_vmexit", "rip 1 reason npf info1 2 info2 3"),
    ("kvm_nested_vmexit", "reason npf info1 2 info2 3 int_info 4 int_info_err 5"), ("kvm_nested_vmexit", "rip: 1"),
    ("kvm_exit", "vcpu 0 reason npf rip 0x1 info1 0x1 info2 0x2 intr_info 0x0"), ("kvm_exit", "riposte 1 reason npf"),
    ("kvm_pvclock_update", "vcpu_id 1, pvclock { version 2, tsc_timestamp 0x3, system_time 0x4"),
    ("kvm_hv_hypercall", "code 0x8 slow cnt 0x1 idx 0x0 in 0x10"), ("kvm_unmap_hva_range", "mmu notifier unmap range"),
    ("kvm_dirty_ring_push", "ring 1: dirty 0x2 reset 0x3 slot 4 offset 0x5 (us"),
    ("kvm_cr", "cr_write 4 ="), ("kvm_mmio", "mmio wri"), ("kvm_mmu_get_page", "sp gen 0 gfn 102 l4 8-byte q0"),
    ("kvm_mmu_get_page", "sp gen 0 gfn 102 l4 8-byte q0 wux nxe ad root 0 sync"), ("kvm_fpu", ""),
    ("kvm_pio", "pio_write at 0x3f8 size"), ("kvm_page_fault", "vcpu 0 rip 0xe05b address"), ("kvm_fpu", "loa"),
  ])
  func saysThatItCannotDecode(name: String, text: String) {
    guard case .undecodable(name, _) = event(name, text) else {
      Issue.record("\(String(describing: event(name, text)))")
      return
    }
  }

  @Test(arguments: exits + others) func readsAnyPartWithoutTrapping(_ text: Text) {
    for length in 0...text.text.count { _ = event(text.name, String(text.text.prefix(length))) }
  }
}
