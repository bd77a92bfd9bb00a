import GuestImage
import Investigation
import QEMU
import Testing
import X86

/// Why KVM or QEMU gave up: what no exception of the guest tells.
@Suite("reported failures")
struct ReportedFailureTests {
  private func verdict(
    _ text: String, command: String = "qemu-system-x86_64 -accel kvm -m 512",
    _ change: ((inout ProcessorState) -> Void)? = nil
  ) -> Verdict {
    var scene = Scene()
    scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
    scene.accelerator = Sourced(.kvm, .commandLine)
    let words = command.split(separator: " ").map(String.init)
    scene.commandLine = QEMUCommandLine(program: words[0], arguments: Array(words.dropFirst()))
    if let change {
      var state = Story.state()
      (state.tr.limit, state.ldtr.limit) = (0x67, 0xFFFF)
      change(&state)
      scene.processors = [Story.processor(state)]
    }
    return Investigator.verdict(on: scene)
  }

  private static func reset(_ state: inout ProcessorState) {
    state.cr0 = CR0(rawValue: 0x6000_0010)
    (state.cr3, state.cr4, state.efer, state.rip) = (0, [], [], 0xFFF0)
    state.cs = Segment(
      selector: SegmentSelector(rawValue: 0xF000), base: 0xFFFF_0000, limit: 0xFFFF,
      attributes: SegmentAttributes(rawValue: 0x9b00))
    state.gdtr = DescriptorTableRegister(base: LinearAddress(0), limit: 0xFFFF)
    state.idtr = state.gdtr
    state.generalPurpose = GeneralPurposeRegisters()
  }

  private static let failures:
    [(String, String, cause: String?, words: String, @Sendable (inout ProcessorState) -> Void)] = [
      (
        "controls", "KVM: entry failed, hardware error 0x8", "entry.vmx-instruction-failed", "host-state fields",
        { reset(&$0) }
      ),
      (
        "a VMCS that was lost",
        "KVM: entry failed, hardware error 0x5\n[1.0] kvm_intel: vmptrld failed: ffff888101234000/101234000",
        "entry.vmx-instruction-failed", "could not be made current", { _ in }
      ),
      (
        "a reset with PCIDE", "KVM: entry failed, hardware error 0x80000021", "entry.half-restored-state",
        "CR4.PCIDE (bit 17) is 1",
        {
          reset(&$0)
          $0.cr4 = [.processContextIdentifiers, .physicalAddressExtension]
        }
      ),
      (
        "half-restored", "KVM: entry failed, hardware error 0x80000021", "entry.half-restored-state", "KVM_SET_SREGS",
        {
          reset(&$0)
          $0.rip = 0x8112_3456
        }
      ),
      (
        "a state that breaks a rule", "KVM: entry failed, hardware error 0x80000021", "entry.invalid-guest-state",
        "TR is not present",
        { $0.tr.attributes = SegmentAttributes(rawValue: 0x0b00) }
      ),
      (
        "the first instruction of an SMI's handler", "KVM: entry failed, hardware error 0x80000021", "entry.smm",
        "entering SMM is what failed",
        {
          $0.isInSMM = true
          $0.rip = 0x8000
        }
      ),
      ("a legal state", "KVM: entry failed, hardware error 0x80000021", nil, "", { _ in }),
      (
        "AMD: L and D", "KVM: entry failed, hardware error 0xffffffffffffffff", "entry.invalid-guest-state",
        "both L and D",
        { $0.cs.attributes.insert(.long) }
      ),
      (
        "AMD: nothing shown", "KVM: entry failed, hardware error 0xffffffff", "entry.invalid-vmcb", "set wrongly",
        { _ in }
      ),
      (
        "an instruction's exit during a delivery",
        "KVM internal error. Suberror: 3\nextra data[0]: 0x0000000080000031\nextra data[1]: 0x000000000000000a\nextra data[2]: 0x0\nextra data[3]: 0x1",
        "host.contradictory-exit", "CPUID", { _ in }
      ),
      (
        "a stack in the VGA window",
        "KVM internal error. Suberror: 3\nextra data[0]: 0x0000000080000b0d\nextra data[1]: 0x0000000000000031\nextra data[2]: 0x0\nextra data[3]: 0x00000000000afff8\nextra data[4]: 0x2",
        "interrupt.delivery-to-device", "the stack (ESP is 0xb0000)",
        {
          $0.cr0 = .protectionEnable
          $0.efer = []
          $0.generalPurpose.rsp = 0xB_0000
        }
      ),
      (
        "a device where every PC has RAM",
        "KVM internal error. Suberror: 3\nextra data[0]: 80000b0e\nextra data[1]: 31\nextra data[2]: 981\nextra data[3]: 2b570",
        nil, "", { _ in }
      ),
      (
        "no number", "KVM: entry failed, hardware error 0x0", "entry.vmx-instruction-failed", "gave no number",
        { _ in }
      ),
      (
        "another monitor's words", "Received KVM_EXIT_FAIL_ENTRY signal with reason: 0x80000021",
        "entry.invalid-guest-state", "TR is not present",
        { $0.tr.attributes = SegmentAttributes(rawValue: 0x0b00) }
      ),
      (
        "an event that meets RAM",
        "KVM internal error. Suberror: 3\nextra data[0]: 0x80000020\nextra data[1]: 0x30\nextra data[2]: 0x181\nextra data[3]: 0x1",
        nil, "", { _ in }
      ),
      (
        "registers refused", "qemu: Failed to put registers after init: Invalid argument", "host.registers-refused",
        "CS has L set",
        {
          $0.efer = []
          $0.cs.attributes.insert(.long)
        }
      ),
      (
        "registers refused for no rule", "qemu: Failed to put registers after init: Invalid argument", nil, "", { _ in }
      ),
      (
        "an MSR refused", "qemu-system-x86_64: error: failed to set MSR 0x38f to 0x7000000ff", "host.msr-refused",
        "IA32_PERF_GLOBAL_CTRL", { _ in }
      ),
      (
        "memory of the host",
        "[1.0] mce: Uncorrected hardware memory error in user-access at 12345000\nerror: kvm run failed Bad address",
        "host.memory-error", "did nothing wrong", { _ in }
      ),
      (
        "a machine check, and an instruction that cannot be emulated",
        "[1.0] mce: Uncorrected hardware memory error\nKVM internal error. Suberror: 1\nemulation failure", nil, "",
        { _ in }
      ),
    ]

  @Test("each failure has its cause, and no other")
  func causes() {
    for (what, text, cause, words, change) in Self.failures {
      let verdict = verdict(text, change)
      #expect(verdict.outcome == .died, "\(what)")
      #expect(verdict.cause?.id == cause, "\(what): \(verdict.observations.map(\.text))")
      #expect(verdict.cause?.summary.contains(words) ?? true, "\(what): \(verdict.cause?.summary ?? "")")
    }
  }

  @Test("a VMCS in the host's log proves the rule that is broken")
  func vmcs() {
    let text = """
      KVM: entry failed, hardware error 0x80000021
      kvm_intel: *** Guest State ***
      kvm_intel: CR0: actual=0x0000000080000031, shadow=0x80000031, gh_mask=ff
      kvm_intel: CR4: actual=0x0000000000002020, shadow=0x20, gh_mask=ff
      kvm_intel: RSP = 0x0000000000001000  RIP = 0x0000000000200000
      kvm_intel: RFLAGS=0x00000002         DR7 = 0x0000000000000400
      kvm_intel: TR:   sel=0x0008, attr=0x00089, limit=0x00000067, base=0x0000000000000000
      kvm_intel: *** Control State ***
      kvm_intel: PinBased=0000003f EntryControls=0000d3ff ExitControls=002befff
      """
    let verdict = verdict(text)
    #expect(verdict.cause?.id == "entry.invalid-guest-state")
    #expect(verdict.cause?.confidence == .proven)
    #expect(verdict.cause?.summary.contains("TR has the type 9: must be a busy TSS (11)") == true)
  }

  @Test("a VMCS alone: its exit reason tells of a failed entry, and without one only its rules are named")
  func vmcsAlone() {
    func verdict(_ rest: String) -> Verdict {
      self.verdict(
        """
        *** Guest State ***
        CR0: actual=0x0000000080000031, shadow=0x80000031, gh_mask=ff
        CR4: actual=0x0000000000002020, shadow=0x20, gh_mask=ff
        CR3 = 0x8000000000101000
        RSP = 0x0000000000001000  RIP = 0x0000000000200000
        \(rest)
        """)
    }
    let failed = verdict("*** Control State ***\nreason=80000021 qualification=0000000000000000")
    #expect(failed.outcome == .died && failed.cause?.id == "entry.invalid-guest-state")
    let open = verdict("")
    #expect(open.outcome == .undetermined && open.cause == nil)
    #expect(open.observations.contains { $0.text.contains("breaks a rule of VM entry: CR3 has bits above 51 set") })
  }

  /// Lines of hosts, other monitors and other emulators: what each means, and nothing more.
  @Test(
    "what others say",
    arguments: [
      ("[1.0] kvm [42]: vcpu0, guest rIP: 0xfff0 unhandled wrmsr: 0x38d data 0x0", "by QEMU, not by the guest"),
      ("[1.0] kvm [42]: vcpu0, guest rIP: 0x1fff0 unhandled wrmsr: 0x38d data 0x0", "The guest used MSR 0x38d"),
      (
        "[1.0] CPU 0/KVM[42]: segfault at 0 ip 00007f00 sp 00007fff error 6 in lib.so[7f00+1000]", "QEMU itself crashed"
      ),
      ("2019-12-06T20:29:30 [i:INFO] Received KVM_EXIT_SHUTDOWN signal", "triple fault"),
      ("<vcpu0> ERROR: Guest likely triple-faulted", "triple fault"),
      ("00:03.7 !!         Guru Meditation 1155 (VINF_EM_TRIPLE_FAULT)", "VirtualBox stopped the guest"),
      ("00271001846p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no resolution", "Bochs stopped"),
      ("(XEN) d12v0 vmentry failure (reason 0x80000021): Invalid guest state (0)", "Xen, not KVM"),
      ("[    2.7] Oops: divide error: 0000 [#1] SMP NOPTI", "A Linux kernel met an error"),
      ("#UD at: f3 48 0f ae df", "`wrgsbase rdi` in 64-bit code, which needs"),
      ("Invalid opcode at 0x100200: 0f 0b", "`ud2` in 64-bit code"),
      ("stdout: 0 bytes, exit status 0", "also what a triple fault looks like"),
    ])
  func others(_ line: String, _ words: String) {
    let verdict = verdict(line)
    let isTripleFault = line.contains("TRIPLE_FAULT") || line.contains("with no resolution")
    #expect(verdict.cause == nil && verdict.outcome == (isTripleFault ? .died : .undetermined))
    #expect(verdict.observations.contains { $0.text.contains(words) }, "\(verdict.observations.map(\.text))")
  }

  @Test("a VMCB that the host's log has, without the guest's state")
  func vmcbAlone() {
    let verdict = verdict(
      "kvm_amd: VMCB Control Area:\nkvm_amd: asid: 3\nkvm_amd: exit_code: ffffffff\nkvm_amd: nested_ctl: 7")
    #expect(verdict.outcome == .died && verdict.cause?.id == "entry.invalid-vmcb")
    #expect(verdict.cause?.summary.contains("the guest's state is not shown") == true)
  }

  @Test("QEMU's stumble over SMM is no cause")
  func assertion() {
    let verdict = verdict(
      "KVM internal error. Suberror: 1\nemulation failure\nCode=kvm: cpu.h:660: cpu_asidx_from_attrs: Assertion `ret < cpu->num_ases && ret >= 0' failed."
    )
    #expect(verdict.observations.contains { $0.text.contains("a consequence of what was reported before") })
  }

  @Test("TCG's end at the end of memory is the guest's, and another assertion nobody's")
  func translation() {
    func cause(_ condition: String) -> String? {
      verdict("qemu: ../accel/tcg/translator.c:175: translator_access: Assertion `\(condition)' failed.").cause?.id
    }
    #expect(cause("phys_page != -1") == "execution.outside-ram")
    #expect(cause("is_same_page(db, end)") == nil)
  }

  @Test("TCG's word for a jump into nowhere, without registers, is the cause where QEMU names itself an x86's")
  func toldAlone() {
    func cause(_ program: String) -> Cause? {
      verdict("\(program): Trying to execute code outside RAM or ROM at 0x457e0000").cause
    }
    #expect(cause("qemu-system-i386")?.id == "execution.outside-ram")
    #expect(cause("/usr/bin/qemu-system-x86_64")?.summary.contains("Execution came to 0x457e0000") == true)
    #expect(cause("qemu-system-riscv64") == nil && cause("qemu: fatal") == nil)
  }

  @Test("registers of another architecture are not an x86's", arguments: ["arm", "x86_64"])
  func otherArchitecture(_ name: String) {
    let verdict = verdict(
      "qemu: fatal: Trying to execute code outside RAM or ROM at 0x08000390\n\nR00=00000000 R01=00000000\nPSR=400001d3 -Z-- A svc32",
      command: "qemu-system-\(name) -M sx1")
    #expect(verdict.cause == nil)
    #expect(verdict.observations.contains { $0.text.contains("another processor than an x86") } == (name == "arm"))
  }

  @Test("a jump to the kernel's linked address before paging is on")
  func jumpBeforePaging() {
    let verdict = verdict("qemu: fatal: Trying to execute code outside RAM or ROM at 0xf010002c") { state in
      (state.cr0, state.efer, state.cr4, state.rip) = ([.protectionEnable], [], [], 0xF010_002C)
      state.cs.attributes = SegmentAttributes(rawValue: 0xCF_9A00)
    }
    #expect(verdict.cause?.id == "execution.outside-ram")
    #expect(verdict.cause?.summary.contains("leads somewhere only once CR0.PG is set") == true)
    #expect(verdict.observations.contains { $0.text.contains("Paging is off, although CR3 is") })
  }

  @Test("where CS has a base, the place outside memory is told as IP and base")
  func jumpInSegment() {
    let verdict = verdict("qemu: fatal: Trying to execute code outside RAM or ROM at 0xa0001000") { state in
      (state.cr0, state.efer, state.cr4, state.rip) = ([.protectionEnable], [], [], 0x8000_1000)
      (state.cs.base, state.cs.attributes) = (0x2000_0000, SegmentAttributes(rawValue: 0xCF_9A00))
    }
    #expect(verdict.cause?.id == "execution.outside-ram")
    #expect(
      verdict.cause?.summary.hasPrefix("IP is 0x80001000 in a CS with base 0x20000000, together 0xa0001000") == true)
  }

  @Test("a Linux kernel's own account: the instruction with what it reads, of the first alone")
  func oops() {
    let texts = verdict(
      """
      [    2.7] Oops: divide error: 0000 [#1] SMP NOPTI
      [    2.7] RIP: 0010:update_scale+0x117/0x360
      [    2.7] Code: 00 ca 9a 3b 48 99 <48> f7 fe 49 89 c3
      [    2.7] RSP: 0000:ffffffffb4c03e40 EFLAGS: 00010202
      [    2.7] RAX: 000000003b9aca00 RBX: 0000000005f5e100 RCX: 000000000000002a
      [    2.7] RDX: 0000000000000000 RSI: 0000000000000001 RDI: 00000000ffffffff
      [    2.7] CR2: ffff888001000000 CR3: 0000000001000000 CR4: 00000000000006f0
      [    2.7] RIP: 0010:another+0x1/0x2
      [    2.7] RIP: 0033:0x7f0011223344
      """
    ).observations.map(\.text)
    let account = texts.filter { $0.contains("By its own account") }
    #expect(
      account.count == 1 && account[0].contains("at update_scale+0x117/0x360, where the instruction is `idiv rsi`"))
    for value in ["RSI 0x1", "RAX 0x3b9aca00", "RDX 0x0", "CR2 is 0xffff888001000000"] {
      #expect(account.first?.contains(value) == true, "\(account)")
    }
    let relative = verdict("RIP: 0010:f+0x1/0x2\nCode: <e8> 00 00 00 00 90").observations.map(\.text)
    #expect(relative.contains { $0.hasSuffix("`call …`, with RSP") || $0.contains("`call …`") })
  }

  @Test("a program's crash is not QEMU's, and each MSR is counted by itself")
  func counts() {
    #expect(
      !verdict("[1.0] firefox[42]: segfault at 0 ip 0 sp 0 error 6").observations.contains { $0.text.contains("QEMU") })
    let lines = ["0x1c9", "0x1a6", "0x1a6"].map { "[1.0] kvm [42]: vcpu0 unhandled rdmsr: \($0)" }
    let texts = verdict(lines.joined(separator: "\n")).observations.map(\.text)
    #expect(texts.contains { $0.contains("0x1c9") && !$0.contains("such lines") })
    #expect(texts.contains { $0.contains("0x1a6") && $0.contains("2 such lines") })
  }

  @Test("of a state that is not shown nothing is said but that")
  func stateNotShown() {
    let texts = verdict("KVM: entry failed, hardware error 0x80000021\nEAX=00000001 EBX=00000000").observations.map(
      \.text)
    #expect(texts.contains { $0.contains("Too little of the state is shown") })
    #expect(!texts.contains { $0.contains("not in real mode") || $0.contains("breaks none of the rules") })
  }

  @Test("RSM that fails, with the hypervisor below under suspicion where the command line asks for the flag")
  func smm() {
    func summary(_ command: String) -> String? {
      let text = """
        KVM internal error. Suberror: 1
        emulation failure
        """
      var scene = Scene()
      var state = Story.state()
      state.isInSMM = true
      (state.cr0, state.efer) = ([], [])
      state.cs.attributes = SegmentAttributes(rawValue: 0x9b00)
      scene.processors = [Story.processor(state)]
      var memory = Story.memory()
      memory.store([0x0F, 0xAA], at: state.instructionAddress.rawValue)
      scene.memory = memory
      scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
      let words = command.split(separator: " ").map(String.init)
      scene.commandLine = QEMUCommandLine(program: words[0], arguments: Array(words.dropFirst()))
      let verdict = Investigator.verdict(on: scene)
      #expect(verdict.cause?.id == "emulation.smm-return")
      return verdict.cause?.summary
    }
    #expect(summary("qemu-kvm -accel kvm -cpu Haswell,hypervisor=on")?.contains("or rather the one below it") == true)
    #expect(summary("qemu-kvm -accel kvm -cpu Haswell")?.contains("or rather the one below it") == false)
  }

  @Test("a list of a processor's flags, against the level that a program asks for")
  func level() {
    let verdict = verdict(
      "Fatal glibc error: CPU does not support x86-64-v2\nflags : fpu sse sse2 pni ssse3 cx16 lahf_lm popcnt hypervisor"
    )
    let texts = verdict.observations.map(\.text)
    #expect(verdict.cause == nil)
    #expect(texts.contains { $0.contains("For x86-64-v2 the flags lack") && $0.contains("sse4_1, sse4_2") }, "\(texts)")
    #expect(texts.contains { $0.contains("virtual one") })
    #expect(!texts.contains { $0.contains("basic models") })
    let basic = self.verdict("flags : fpu lm sse sse2 pni cx16 lahf_lm x2apic hypervisor").observations.map(\.text)
    #expect(basic.contains { $0.contains("basic models qemu64") })
  }

  @Test("QEMU that did not start the guest")
  func notStarted() {
    let denied = verdict(
      "Could not access KVM kernel module: Permission denied\nqemu-system-x86_64: failed to initialize kvm: Permission denied"
    )
    #expect(denied.cause?.id == "host.kvm-not-usable")
    #expect(denied.remedies.first?.change.contains("usermod -aG kvm") == true)
    let busy = verdict(
      "ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy\nqemu-system-x86_64: failed to initialize kvm: Device or resource busy"
    )
    #expect(busy.cause?.summary.contains("Another hypervisor") == true)
    #expect(busy.remedies.first?.change.contains("stop the other hypervisor") == true)
    let off = verdict("[ 2.0] kvm: disabled by bios\nCould not access KVM kernel module: No such file or directory")
    #expect(off.cause?.confidence == .proven)
    #expect(off.remedies.first?.change.contains("firmware") == true)
    // A line of a boot alone says nothing of a guest.
    #expect(verdict("[ 2.0] kvm: disabled by bios").outcome == .undetermined)
    #expect(verdict("qemu-system-x86_64: terminating on signal 15 from pid 1 (init)").cause == nil)
  }

  @Test("an image whose entry point is its Multiboot header", arguments: [UInt8(0xFE), 0xFF])
  func executedHeader(_ checksum: UInt8) throws {
    let code: [UInt8] = [0x02, 0xB0, 0xAD, 0x1B, 0, 0, 0, 0, checksum, 0x4F, 0x52, 0xE4, 0xF4]
    var scene = Scene()
    scene.ending = .reset
    scene.image = try GuestImage(of: [SmallSegment(at: 0x10_0000, flags: 5, contents: code, size: UInt64(code.count))])
    let found = Investigator.verdict(on: scene).observations.contains {
      $0.text.hasPrefix("The image's entry point, 0x100000, is its Multiboot header")
    }
    #expect(found == (checksum == 0xFE))
  }

  @Test("a Multiboot header beside the log")
  func multiboot() {
    func cause(_ flags: String, _ load: String) -> String? {
      verdict(
        "KVM internal error. Suberror: 1\nemulation failure\nmagic 0x1badb002 flags \(flags)\nheader_addr 0x100000 load_addr \(load) entry_addr 0x100020\n"
      ).cause?.id
    }
    #expect(cause("0x10003", "0x0") == "boot.multiboot-addresses")
    #expect(cause("0x10003", "0x100000") == nil)
    #expect(cause("0x3", "0x0") == nil)
  }

  @Test(
    "an instruction that only newer emulators know", arguments: [true, false])
  func learnedLate(_ isNew: Bool) {
    var scene = Scene()
    scene.log = Sourced.messages(
      of: QEMULog.parse("KVM internal error. Suberror: 1\nemulation failure\n7c00: 0f ae 06 00 80"), named: "log")
    var state = Story.state()
    (state.cr0, state.efer, state.cr3) = ([], [], 0)
    for path in [\ProcessorState.cs, \.ds, \.ss] { state[keyPath: path].selector = SegmentSelector(rawValue: 0) }
    state.cs.attributes = SegmentAttributes(rawValue: 0x9b00)
    state.rip = 0x7C00
    scene.processors = [Story.processor(state)]
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.host.kernelRelease = Sourced(isNew ? "6.1.0-18-amd64" : "4.4.0-21-generic", .host("uname"))
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == (isNew ? nil : "emulation.unsupported-instruction"))
    #expect(cause?.summary.contains("older emulators of KVM do not know (Linux ") ?? isNew)
  }

  @Test("a cut dump, and registers that nobody could read")
  func partial() {
    func texts(_ text: String) -> [String] { verdict(text).observations.map(\.text) }
    #expect(
      texts("KVM: entry failed, hardware error 0xffffffff\nEAX=00000001 EBX=00000000 ECX=00000277 EDX=00000002")
        .contains { $0.contains("IA32_PAT) and EDX:EAX 0x200000001") })
    #expect(
      texts(
        "KVM internal error. Suberror: 4\nextra data[0]: 0xc000000000000000\nEAX=00000000 EBX=00000000\nEIP=00000000 EFL=00000000 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0"
      )
      .contains { $0.contains("these are not the guest's registers") })
    #expect(
      texts(
        "KVM: entry failed, hardware error 0xffffffff\nEIP=00008000 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=1 HLT=0"
      )
      .contains { $0.contains("entering SMM") })
    let window = "EIP=000a0000 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\nCS =0010 00000000 ffffffff 00c09b00"
    #expect(
      texts("KVM internal error. Suberror: 1\n\(window)").contains {
        $0.contains("in the VGA window (A0000-BFFFF) if low")
      })
    #expect(
      texts("KVM internal error. Suberror: 1\n\(window)\nCR0=00000011 CR2=00000000").contains {
        $0.contains("in the VGA window (A0000-BFFFF): nothing")
      })
  }
}
