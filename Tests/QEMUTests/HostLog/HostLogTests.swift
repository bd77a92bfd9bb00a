import QEMU
import SeededRandom
import Testing
import X86

/// What hosts' kernels and QEMU print beyond KVM's errors: dumps of VMCS and VMCB, and single lines.
@Suite("host logs")
struct HostLogTests {
  /// In the form of dump_vmcs, Linux 6.1, with values of its own.
  static let vmcs = """
    [  88.000001] kvm_intel: VMCS 00000000abcdef01, last attempted VM-entry on CPU 3
    [  88.000002] kvm_intel: *** Guest State ***
    [  88.000003] kvm_intel: CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=fffffffffffffff7
    [  88.000004] kvm_intel: CR4: actual=0x00000000000426e0, shadow=0x00000000000406e0, gh_mask=fffffffffffef871
    [  88.000005] kvm_intel: CR3 = 0x0000000001234000
    [  88.000006] kvm_intel: PDPTR0 = 0x0000000000000000  PDPTR1 = 0x0000000000000000
    [  88.000007] kvm_intel: RSP = 0xffffc90000003e98  RIP = 0xffffffff81001234
    [  88.000008] kvm_intel: RFLAGS=0x00000046         DR7 = 0x0000000000000400
    [  88.000009] kvm_intel: Sysenter RSP=fffffe0000003000 CS:RIP=0010:ffffffff81c01390
    [  88.000010] kvm_intel: CS:   sel=0x0010, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000
    [  88.000011] kvm_intel: DS:   sel=0x0000, attr=0x1c000, limit=0xffffffff, base=0x0000000000000000
    [  88.000012] kvm_intel: SS:   sel=0x0018, attr=0x0c093, limit=0xffffffff, base=0x0000000000000000
    [  88.000013] kvm_intel: GDTR:                           limit=0x0000007f, base=0xfffffe0000001000
    [  88.000014] kvm_intel: LDTR: sel=0x0000, attr=0x1c000, limit=0xffffffff, base=0x0000000000000000
    [  88.000015] kvm_intel: IDTR:                           limit=0x00000fff, base=0xfffffe0000000000
    [  88.000016] kvm_intel: TR:   sel=0x0040, attr=0x0008b, limit=0x00004087, base=0xfffffe0000003000
    [  88.000017] kvm_intel: EFER= 0x0000000000000d01
    [  88.000018] kvm_intel: Interruptibility = 00000001  ActivityState = 00000000
    [  88.000019] kvm_intel: *** Host State ***
    [  88.000020] kvm_intel: RIP = 0xffffffffc0aa0b10  RSP = 0xffffb8d0c0a77c58
    [  88.000021] kvm_intel: CR0=0000000080050033 CR3=0000000105a3e002 CR4=00000000003726e0
    [  88.000022] kvm_intel: *** Control State ***
    [  88.000023] kvm_intel: CPUBased=0xb5a06dfa SecondaryExec=0x000210eb TertiaryExec=0x0000000000000000
    [  88.000024] kvm_intel: PinBased=0x0000007f EntryControls=0000d3ff ExitControls=002fefff
    [  88.000025] kvm_intel: VMEntry: intr_info=800000ec errcode=00000000 ilen=00000000
    [  88.000026] kvm_intel:         reason=80000021 qualification=0000000000000000
    """

  /// In the form of dump_vmcb, Linux 6.1.
  static let vmcb = """
    SVM: VMCB 00000000f00dcafe, last attempted VMRUN on CPU 2
    SVM: VMCB Control Area:
    SVM: cr_read:            0010
    SVM: asid:               0
    SVM: tlb_ctl:            0
    SVM: exit_code:          ffffffff
    SVM: exit_info1:         0000000000000000
    SVM: nested_ctl:         1
    SVM: event_inj:          80000b0e
    SVM: virt_ext:           3
    SVM: VMCB State Save Area:
    SVM: es:   s: 0010 a: 0c93 l: ffffffff b: 0000000000000000
    SVM: cs:   s: 0008 a: 0e9b l: ffffffff b: 0000000000000000
    SVM: gdtr: s: 0000 a: 0000 l: 0000001f b: 0000000000005000
    SVM: ldtr: s: 0000 a: 0082 l: 0000ffff b: 0000000000000000
    SVM: idtr: s: 0000 a: 0000 l: 00000fff b: 0000000000006000
    SVM: tr:   s: 0018 a: 008b l: 00000067 b: 0000000000007000
    SVM: cpl:            0                efer:         0000000000001500
    SVM: cr0:            0000000080000011 cr2:          0000000000000000
    SVM: cr3:            0000000000001000 cr4:          0000000000000020
    SVM: dr6:            00000000ffff0ff0 dr7:          0000000000000400
    SVM: rip:            0000000000100040 rflags:       0000000000000002
    SVM: rsp:            0000000000009ff0 rax:          0000000000000000
    """

  @Test("a VMCS dump, its guest state and the controls that count")
  func readsVMCS() throws {
    let entries = QEMULog.parse(Self.vmcs)
    #expect(entries.count == 1)
    guard case .vmcs(let dump)? = entries.first?.message else { return #expect(Bool(false), "\(entries)") }
    #expect(dump.guest.cr0?.rawValue == 0x8005_0033)
    #expect(dump.guest.cr4?.rawValue == 0x426e0)
    #expect(dump.shadowCR4 == 0x406e0)
    #expect(dump.guest.cr3 == 0x123_4000)
    #expect(dump.guest.rip == 0xFFFF_FFFF_8100_1234)
    #expect(dump.rsp == 0xFFFF_C900_0000_3E98)
    #expect(dump.guest.rflags?.rawValue == 0x46)
    #expect(dump.guest.segments[.cs]?.attributes.rawValue == 0xa0_9b00)
    #expect(dump.guest.segments[.ds]?.attributes.contains(.present) == false)
    #expect(dump.guest.segments[.tr]?.base == 0xFFFF_FE00_0000_3000)
    #expect(dump.guest.segments[.ldtr] != nil)
    #expect(dump.guest.gdtr?.limit == 0x7F)
    #expect(dump.guest.idtr?.base == 0xFFFF_FE00_0000_0000)
    #expect(dump.guest.efer?.rawValue == 0xd01)
    #expect(dump.guest.interruptibility == 1)
    #expect(dump.guest.isIA32eModeGuest == true)
    #expect(dump.guest.isUnrestricted == true)
    #expect(dump.guest.event == 0x8000_00ec)
    #expect(dump.exitReason == 0x8000_0021)
    let words = dump.guest.vmxViolations.map(\.words)
    #expect(words.contains { $0.contains("blocked by STI, but RFLAGS.IF is 0") })
    #expect(words.contains { $0.contains("an external interrupt is to be injected, but RFLAGS.IF is 0") })
    #expect(!words.contains { $0.hasPrefix("CS ") || $0.hasPrefix("TR ") || $0.contains("CR0") }, "\(words)")
  }

  @Test("a VMCB dump")
  func readsVMCB() throws {
    let entries = QEMULog.parse(Self.vmcb)
    guard case .vmcb(let dump)? = entries.first?.message else { return #expect(Bool(false), "\(entries)") }
    #expect(dump.guest.asid == 0)
    #expect(dump.exitCode == 0xFFFF_FFFF)
    #expect(dump.guest.segments[.cs]?.attributes.rawValue == 0xe0_9b00)
    #expect(dump.guest.segments[.tr]?.selector.rawValue == 0x18)
    #expect(dump.guest.segments[.ldtr]?.limit == 0xFFFF)
    #expect(dump.guest.gdtr?.base == 0x5000)
    #expect(dump.guest.idtr?.base == 0x6000)
    #expect(dump.guest.efer?.rawValue == 0x1500)
    #expect(dump.guest.cr4?.rawValue == 0x20)
    #expect(dump.guest.rip == 0x10_0040)
    #expect(dump.virtualExtensions == 3)
    let words = dump.guest.svmViolations.map(\.words)
    #expect(words.contains("the ASID is 0"))
    #expect(words.contains { $0.contains("both L and D") })
  }

  private static let statements: [(String, Statement.Kind)] = [
    ("qemu-system-x86_64: error: failed to set MSR 0x48f to 0x7fefff00036dfb", .msrNotSet),
    (
      "qemu-system-x86_64: ../target/i386/kvm/kvm.c:2701: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.",
      .msrAssertion
    ),
    (
      "qemu-system-x86_64: ../accel/tcg/translator.c:175: translator_access: Assertion `phys_page != -1' failed.",
      .translationOutsideMemory
    ),
    ("Could not access KVM kernel module: Permission denied", .cannotAccessKVM),
    ("qemu-system-x86_64: failed to initialize kvm: Device or resource busy", .cannotInitializeKVM),
    ("qemu-system-x86_64: -accel kvm: invalid accelerator kvm", .invalidAccelerator),
    ("qemu-system-x86_64: Host doesn't support requested features", .featuresMissing),
    ("qemu-system-x86_64: kvm_set_user_memory_region: KVM_SET_USER_MEMORY_REGION failed, slot=3", .memorySlotRefused),
    ("qemu-system-x86_64: terminating on signal 15 from pid 1 (systemd)", .terminating),
    ("[ 4.1] kvm: disabled by bios", .disabledByBIOS),
    ("[ 4.1] kvm_intel: VMX (outside TXT) disabled by BIOS", .disabledByBIOS),
    ("[ 4.1] kvm_amd: SVM not supported by CPU 0", .noVirtualization),
    ("[ 9.1] kvm [812]: vcpu0, guest rIP: 0xffffffff81063a24 unhandled rdmsr: 0x1b1", .unhandledMSRRead),
    ("[ 9.1] kvm [812]: ignored wrmsr: 0x1d9 data 0x1", .ignoredMSR),
    ("[ 9.1] kvm_intel: vmptrld failed: ffff888101234000/101234000", .vmptrldFailed),
    ("[ 9.1] kvm_intel: vmwrite failed: field=681e val=ffffffff81000000 err=12", .vmwriteFailed),
    ("[ 1.0] kvm_amd: Nested Paging disabled", .nestedPagingOff),
    ("[ 9.9] BUG: unable to handle page fault for address: ffffc90000000ff8", .kernelOops),
    ("[ 9.9] Memory failure: 0x12345: recovery action for dirty LRU page: Recovered", .memoryFailure),
    ("[ 9.9] Out of memory: Killed process 4242 (qemu-system-x86) total-vm:9000000kB", .outOfMemory),
    ("Fatal glibc error: CPU does not support x86-64-v3", .missingLevel),
    (
      "[ 2.2] traps: init[1] trap invalid opcode ip:401000 sp:7ffd00000000 error:0 in init[400000+1000]", .trapInProgram
    ),
  ]

  @Test("single lines", arguments: statements)
  func single(_ line: String, _ kind: Statement.Kind) {
    let entries = QEMULog.parse("an ordinary line\n" + line + "\nanother")
    #expect(
      entries.map(\.message).contains {
        if case .statement(let statement) = $0 { statement.kind == kind } else { false }
      }, "\(entries)")
  }

  @Test(
    "ordinary lines are none",
    arguments: [
      "mce: CPU supports 32 MCE banks", "kvm: Loaded", "SVM: VMCB", "flags are fine", "processor speed is good",
    ])
  func ordinary(_ line: String) { #expect(QEMULog.parse(line).isEmpty, "\(QEMULog.parse(line))") }

  @Test("/proc/cpuinfo with its flags broken over lines")
  func cpuinfo() {
    let text = """
      processor\t: 0
      vendor_id\t: GenuineIntel
      cpu family\t: 6
      model\t\t: 23
      model name\t: Intel(R) Core(TM)2 Duo CPU
      stepping\t: 10
      flags\t\t: fpu vme de pse tsc
      msr vmx ssse3 cx16
      bugs\t\t:
      """
    guard case .processorListing(let listing)? = QEMULog.parse(text).first?.message else { return #expect(Bool(false)) }
    #expect(listing.flags == ["fpu", "vme", "de", "pse", "tsc", "msr", "vmx", "ssse3", "cx16"])
    #expect(listing.values["model"] == "23")
    #expect(!listing.isVirtual)
  }

  @Test("a dump of registers goes on behind a line of a console inside it")
  func inside() {
    let text = """
      EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000000
      [ 9.1] kvm [812]: ignored rdmsr: 0x34 data 0x0
      ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000000
      EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
      """
    let dumps = QEMULog.parse(text).compactMap { entry -> RegisterDump? in
      if case .registerDump(let dump) = entry.message { dump } else { nil }
    }
    #expect(dumps.count == 1)
    #expect(dumps.first?[.rip] == 0xFFF0)
    #expect(dumps.first?[.rsi] == 0)
  }

  /// Pieces of such texts in any order, cut anywhere.
  @Test func hostile() {
    var generator = SeededGenerator(seed: 11)
    let lines = (Self.vmcs + "\n" + Self.vmcb + "\nflags : fpu vme\nprocessor : 0").split(separator: "\n").map(
      String.init)
    for _ in 0..<300 {
      var text = ""
      for _ in 0..<30 {
        let line = lines.randomElement(using: &generator) ?? ""
        text += line.prefix(Int.random(in: 0...line.count, using: &generator)) + "\n"
      }
      for entry in QEMULog.parse(text) {
        if case .vmcs(let dump) = entry.message { _ = dump.guest.vmxViolations }
        if case .vmcb(let dump) = entry.message { _ = dump.guest.svmViolations }
      }
    }
  }
}
