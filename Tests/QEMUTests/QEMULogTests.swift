import QEMU
import Testing
import X86

private func messages(_ text: String) -> [QEMUMessage] { QEMULog.parse(text).map(\.message) }

@Suite struct QEMULogTests {
  @Test(
    arguments: [
      ("KVM: entry failed, hardware error 0x80000021", .kvmEntryFailed(hardwareError: 0x8000_0021)),
      (
        "Received KVM_EXIT_FAIL_ENTRY signal with reason: 0x80000021", .kvmEntryFailed(hardwareError: 0x8000_0021)
      ),
      (
        "KVM_EXIT_FAIL_ENTRY: hardware_entry_failure_reason = 0x80000021", .kvmEntryFailed(hardwareError: 0x8000_0021)
      ),
      (
        "vcpu 0: Ok(FailEntry { hardware_entry_failure_reason: 2147483681, cpu: 3 })",
        .kvmEntryFailed(hardwareError: 0x8000_0021)
      ),
      ("Unexpected exit: FailEntry(7, 0)", .kvmEntryFailed(hardwareError: 7)),
      ("KVM internal error.Suberror: 2", .kvmInternalError(KVMInternalError(suberror: 2))),
      (
        "KVM: exception 13 exit (error code 0x18)",
        .kvmExceptionExit(vector: .generalProtection, errorCode: 0x18)
      ),
      ("KVM: unknown exit, hardware reason 31", .kvmUnknownExit(hardwareReason: 0x31)),
      ("KVM: unknown exit reason 39", .kvmUnknownExitReason(39)),
      ("error: kvm run failed Bad address", .kvmRunFailed("Bad address")),
      ("KVM internal error: Encountered a notify exit with invalid context, kvm may be corrupt", .kvmNotifyExit),
      (
        "qemu: Failed to put registers after init: Invalid argument",
        .registersRefused(operation: "after init", error: "Invalid argument")
      ),
      ("qemu-system-x86_64: unable to find CPU model 'haswell'", .unknownCPUModel("haswell")),
      (
        "qemu-system-x86_64: can't apply global Haswell-x86_64-cpu.nosuch=a:b: Property 'x' not found",
        .globalNotApplied(global: "Haswell-x86_64-cpu.nosuch=a:b", reason: "Property 'x' not found")
      ),
      ("check_exception old: 0xffffffff new 0xe", .exceptionCheck(old: nil, new: .pageFault)),
      ("check_exception old: 0x8 new 0xd", .exceptionCheck(old: .doubleFault, new: .generalProtection)),
      ("Triple fault", .tripleFault), ("> Triple fault\r", .tripleFault),
      ("CPU Reset (CPU 3)", .cpuReset(cpu: 3)),
      ("Servicing hardware INT=0x59", .hardwareInterrupt(vector: 0x59, isVirtual: false)),
      ("Servicing virtual hardware INT=0x20", .hardwareInterrupt(vector: 0x20, isVirtual: true)),
      ("SMM: enter", .smmEntered), ("SMM: after RSM", .smmLeft),
      ("qemu: fatal: something else", .fatal("something else")),
      (
        "(qemu) qemu: fatal: Trying to execute code outside RAM or ROM at 0x0000000100000000",
        .executionOutsideMemory(address: 0x1_0000_0000, program: nil)
      ),
      (
        "qemu-system-x86_64: Trying to execute code outside RAM or ROM at 0xe0000000",
        .executionOutsideMemory(address: 0xE000_0000, program: "qemu-system-x86_64")
      ),
      ("[vcpu] Failure during vcpu run: Bad address (os error 14)", .kvmRunFailed("Bad address")),
      (
        "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.80000001H:EDX.pdpe1gb [bit 26]",
        .unsupportedFeature(
          UnsupportedFeature(accelerator: "host", register: "CPUID.80000001H:EDX", feature: .pdpe1gb, bit: 26))
      ),
      (
        "qemu-system-x86_64: warning: TCG doesn't support requested feature: CPUID.01H:ECX.sse4.1 [bit 19]",
        .unsupportedFeature(
          UnsupportedFeature(accelerator: "TCG", register: "CPUID.01H:ECX", feature: "sse4.1", bit: 19))
      ),
      (
        "warning: host doesn't support requested feature: MSR(10AH).rdctl-no [bit 0]",
        .unsupportedFeature(UnsupportedFeature(accelerator: "host", register: "MSR(10AH)", feature: "rdctl-no", bit: 0))
      ),
      (
        "warning: host doesn't support requested feature: CPUID.0DH:EAX [bit 5]",
        .unsupportedFeature(UnsupportedFeature(accelerator: "host", register: "CPUID.0DH:EAX", feature: nil, bit: 5))
      ),
    ] as [(String, QEMUMessage)])
  func lines(_ line: String, _ expected: QEMUMessage) {
    #expect(messages(line) == [expected])
    #expect(messages("2024-01-02T03:04:05.678Z host qemu[12]: " + line) == [expected])
  }

  @Test(arguments: [
    "", "\n\n", "KVM internal error", "KVM: entry failed", "KVM: exception 999 exit (error code 0x0)",
    "KVM: exception 99999999999999999999 exit (error code 0x0)", "Triple faults", "No Triple fault here",
    "VcpuExit::FailEntry(reason, cpu) => todo!()", "pub hardware_entry_failure_reason: u64,", "KVM_EXIT_FAIL_ENTRY",
    "hardware_entry_failure_reason: 0,",
    "check_exception old: new", "check_exception old: 0xffffffff new 0x100", "CPU Reset (CPU x)",
    "Servicing hardware INT=0x1ff", "v=0 e=0", "ov=0e e=0002 i=0", "NotSMM: enter", "v=0e e=123456789",
    "doesn't support requested feature: CPUID.01H:ECX.x [bit 99999999999999999999]",
  ])
  func othersLines(_ line: String) { #expect(messages(line) == []) }

  @Test(arguments: [
    (
      "KVM internal error. Suberror: 1\nextra data[0]: 0x0000000000000001\nextra data[1]: 0x000000000000000b\nemulation failure",
      KVMInternalError(suberror: 1, extraData: [0: 1, 1: 11], saysEmulationFailure: true)
    ),
    (
      "KVM internal error. Suberror: 3\nextra data[0]: 80000b0e\nextra data[1]: 31",
      KVMInternalError(suberror: 3, extraData: [0: 0x8000_0B0E, 1: 0x31])
    ),
    ("KVM internal error. Suberror: 1\n\nemulation failure", KVMInternalError(suberror: 1, saysEmulationFailure: true)),
    ("KVM internal error. Suberror: 1\nextra data[1]: 0x400", KVMInternalError(suberror: 1, extraData: [1: 0x400])),
    (
      "KVM internal error. Suberror: 2\nextra data[9999999999999999999]: 1\nextra data[0]: zz",
      KVMInternalError(suberror: 2)
    ),
  ])
  func internalErrors(_ text: String, _ expected: KVMInternalError) {
    #expect(messages(text) == [.kvmInternalError(expected)])
  }

  @Test func interruptLine() throws {
    let text = """
           0: v=0e e=0002 i=1 cpl=3 IP=0008:0000000000001311 pc=0000000000001312 SP=0010:0000000000007bf8 CR2=000000000020c000
      """
    guard case .interrupt(let whole) = try #require(messages(text).first) else {
      Issue.record("no interrupt")
      return
    }
    #expect(whole.number == 0 && whole.vector == .pageFault && whole.errorCode == 2)
    #expect(whole.isSoftware == true && whole.currentPrivilegeLevel == 3 && whole.rax == nil)
    #expect(whole.codeSelector?.rawValue == 8 && whole.instructionPointer == 0x1311 && whole.programCounter == 0x1312)
    #expect(whole.stackSelector?.rawValue == 16 && whole.stackPointer == 0x7BF8 && whole.cr2 == 0x20C000)
    #expect(messages(text.replacing(" SP=", with: "\n        SP=")) == [.interrupt(whole)])
    #expect(messages(text.replacing(" CR2=", with: "\nCR2=")) == [.interrupt(whole)])
    #expect(messages(text.replacing(" SP=", with: "\n\n        SP=")) == [.interrupt(whole)])
    #expect(messages(text.replacing("=", with: "=3D").replacing(" SP=", with: " =\nSP=")) == [.interrupt(whole)])
  }

  @Test(arguments: ["", "2024-05-01T10:00:00.123456Z qemu[12]: "])
  func illegalInstruction(_ prefix: String) {
    let listing = CodeListing(lines: [.init(address: 0x10_0A10, bytes: [0xC5, 0xF8])], isOfGuest: true)
    #expect(messages(prefix + "ILLOPC: 0000000000100a10: c5 f8") == [.codeListing(listing)])
  }

  @Test func tripleFaultInOrder() throws {
    let entries = QEMULog.parse(utf8: try fixture("qemu/tcg-triple-fault.log"))
    let kinds = entries.map { entry in
      switch entry.message {
      case .cpuReset: "reset"
      case .registerDump: "dump"
      case .exceptionCheck(let old, let new): "\(old?.name ?? "none")>\(new.name)"
      case .interrupt(let interrupt): "\(interrupt.vector.name) \(interrupt.cr2 ?? 0)"
      case .tripleFault: "triple"
      default: "other"
      }
    }
    #expect(
      kinds == [
        "reset", "dump", "reset", "dump", "none>#PF", "#PF \(0x12_3456_7890)", "dump", "#PF>#GP", "#DF 0", "dump",
        "#DF>#GP", "triple",
      ])
    #expect(entries.last?.lines == 102...102)
    #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.lines.upperBound < $1.lines.lowerBound })
  }

  @Test func warningsOfAHostWithout1GiBPages() throws {
    let features = QEMULog.parse(utf8: try fixture("one-gib-pages/pvm.qemu.log")).compactMap {
      if case .unsupportedFeature(let feature) = $0.message { feature } else { nil }
    }
    #expect(features.count == 26 && features.allSatisfy { $0.accelerator == "host" && $0.feature != nil })
  }
}

@Suite struct RecordedCommandLineTests {
  private func commandLines(_ text: String) -> [RecordedCommandLine] {
    messages(text).compactMap { if case .commandLine(let line) = $0 { line } else { nil } }
  }

  @Test(arguments: [
    ("qemu-system-x86_64 -m 64", "qemu-system-x86_64 -m 64", false),
    ("$ /usr/bin/qemu-system-x86_64 -append 'a b' 2>&1 | tee log", "/usr/bin/qemu-system-x86_64 -append 'a b'", false),
    ("> # qemu-kvm -S > out.txt -s; echo $?", "qemu-kvm -S -s", false),
    ("sudo kvm --enable-kvm \"-m\" 1G", "kvm --enable-kvm -m 1G", false),
    ("qemu-system-x86_64 disk.img -snapshot", "qemu-system-x86_64 disk.img -snapshot", false),
    (
      "2024-01-01 10:00:00+0000: starting up libvirt version: 9.0.0, qemu version: 7.2.0\nLC_ALL=C \\\nPATH=/bin \\\n"
        + "/usr/bin/qemu-system-x86_64 \\\n-name guest=g \\\n-object '{\"qom-type\":\"secret\",\"id\":\"k\"}' \\\n-m 4096\n"
        + "char device redirected to /dev/pts/1 (label charserial0)",
      "/usr/bin/qemu-system-x86_64 -name guest=g -object '{\"qom-type\":\"secret\",\"id\":\"k\"}' -m 4096", false
    ),
    (
      "qemu-system-x86_64 -enable-kvm -machine q35,accel=kvm,smm=off -device\nvirtio-blk-pci,drive=d0,bus=pcie.0,addr="
        + "0x4,id=virtio-\ndisk0 -m 64\n-S\nbye",
      "qemu-system-x86_64 -enable-kvm -machine q35,accel=kvm,smm=off -device "
        + "virtio-blk-pci,drive=d0,bus=pcie.0,addr=0x4,id=virtio-disk0 -m 64 -S", true
    ),
  ])
  func found(_ text: String, _ expected: String, _ isRejoined: Bool) throws {
    let line = try #require(commandLines(text).first)
    #expect(line.commandLine.shellText == expected && line.isRejoined == isRejoined)
    #expect(commandLines(text).count == 1)
  }

  @Test(arguments: [
    "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.01H:ECX.x [bit 1]",
    "I ran qemu-system-x86_64 with -enable-kvm and it died", "qemu-img create -f qcow2 a.img 1G", "kvm -z", "qemu",
    "qemu-kvm-1637698 [019] 758186.750321: kvm_entry: vcpu 0, rip 0x4028b7", "apt install qemu-system-x86",
  ])
  func notFound(_ text: String) { #expect(commandLines(text).isEmpty) }

  @Test func errorAfterTheCommandLine() {
    let found = messages(
      "qemu-system-x86_64 -S -m 64 -kernel a-kernel-whose-name-is-long-enough-to-reach-the-margin\nKVM: unknown exit reason 39"
    )
    #expect(found.count == 2 && found.last == .kvmUnknownExitReason(39))
  }
}
