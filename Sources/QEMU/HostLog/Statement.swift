/// A line by which QEMU, the host's kernel or the guest's says something that bears on a death, beyond KVM's errors and registers.
public struct Statement: Hashable, Sendable {
  public var kind: Kind
  /// The line from the known words on, without its time and prefix.
  public var text: String
  /// What stands before them: a time, a prefix, whom the line is about.
  public var preceding: String

  public init(_ kind: Kind, text: String, preceding: String = "") {
    (self.kind, self.text, self.preceding) = (kind, text, preceding)
  }

  /// What is said. The words are those of QEMU 2.x to 10.2 and Linux 3.x to 6.19, of the file that each names.
  public enum Kind: Hashable, Sendable, CaseIterable {
    // QEMU, target/i386/kvm/kvm.c and accel/kvm/kvm-all.c
    case msrNotSet, msrNotRead, msrAssertion, cannotAccessKVM, cannotInitializeKVM, invalidAccelerator, noAccelerator
    case cpuidRefused, memorySlotRefused, vcpuNotCreated, vmNotCreated, ioctlFailed, featuresMissing, hostModelNeedsKVM
    case memoryNotAllocated, terminating, assertion, hardwareError, unsupportedMachine, fileNotLoaded, diskLocked
    case bootProtocolMissing, kvmNotSupported, translationOutsideMemory
    // The host's kernel, arch/x86/kvm
    case vmptrldFailed, vmwriteFailed, vmreadFailed, vmclearFailed, disabledByBIOS, noVirtualization, kvmBusy
    case unhandledMSRRead, unhandledMSRWrite, ignoredMSR, unexpectedExit, exchangeAsWrite, invalidVMCSHint
    case nestedPagingOn, nestedPagingOff, seamcallFailed, unstableTSC, mitigationNote
    case machineCheck, memoryFailure, outOfMemory, kernelOops, generalProtectionInHost, softLockup, splitLock
    case kernelWarning, taskHung
    // The guest's kernel or programs, or a machine that is a guest
    case trapInProgram, illegalInstruction, missingLevel, hypervisorBelow, virtualHardware, guestPanic, guestOops
    // Monitors other than QEMU, and other hypervisors and emulators
    /// `kvm_run_exit cpu_index 0, reason 2`: QEMU's trace, without the kernel's (accel/kvm/trace-events).
    case runExit
    case shutdownExit, processCrashed, exitStatusZero, virtualBox, bochs, xenEntryFailed, xenCrash, threadFault
    case unexpectedVCPUExit, entryRefused
    /// Windows' hypervisor and HAXM under QEMU, and KVM under Firecracker.
    case whpxExit, haxmShutdown, emulationFailedElsewhere
    case tripleFaultElsewhere, gateRefused, refusedByBochs, unexpectedTrap
    /// #UD, with bytes behind it.
    case undefinedBytes
  }
}

extension Statement {
  /// Whether Bochs, VirtualBox, VMware, Hyper-V or Xen says that the guest met a triple fault (Bochs cpu/exception.cc, 2.3 to 3.0; VirtualBox
  /// VINF_EM_TRIPLE_FAULT).
  public var isTripleFault: Bool {
    if kind == .whpxExit { return exitOfWindows == 4 }
    guard [.bochs, .virtualBox].contains(kind) else { return kind == .tripleFaultElsewhere }
    let words = text.lowercased()
    return words.contains("exception with no resolution") || words.contains("vinf_em_triple_fault")
  }

  /// The WHV_RUN_VP_EXIT_REASON with which QEMU gave up (target/i386/whpx/whpx-all.c: whpx_vcpu_run; decimal up to QEMU 10): 4 is
  /// WHvRunVpExitReasonUnrecoverableException.
  public var exitOfWindows: Int? {
    guard kind == .whpxExit else { return nil }
    let number = text.split(separator: " ").last.map(String.init) ?? ""
    return number.hasPrefix("0x") ? Int(number.dropFirst(2), radix: 16) : Int(number)
  }

  /// The first statement in a line; nil where there is none.
  init?(_ line: LogLine) {
    for index in line.bytes.indices {
      for phrase in Self.byFirstByte[Int(Self.lowercased(line.bytes[index]))]
      where Self.has(phrase.bytes, at: index, in: line.bytes) {
        self.init(
          phrase.kind, text: String(decoding: line.bytes[index...], as: UTF8.self),
          preceding: String(decoding: line.bytes[..<index], as: UTF8.self))
        guard kind == .runExit else { return }
        // Of QEMU's own trace of KVM_RUN only KVM_EXIT_SHUTDOWN is a statement: the others are many.
        guard text.hasSuffix(", reason 8") else { return nil }
        kind = .shutdownExit
        return
      }
    }
    return nil
  }

  /// Whether a panic's last line, which repeats the message.
  public var isEndOfPanic: Bool { kind == .guestPanic && preceding.hasSuffix("---[ end ") }

  /// Whether an assertion's line names QEMU, or has the form of GLib's, which QEMU uses: a guest's program may print the like.
  public var isOfQEMU: Bool {
    let words = preceding.lowercased()
    return words.contains("qemu") || words.contains("kvm") || words.contains("error:")
      || text.lowercased().contains("qemu")
  }

  /// Whether a phrase stands at `index`; ASCII letters of either case count as the same.
  private static func has(_ phrase: [UInt8], at index: Int, in bytes: ArraySlice<UInt8>) -> Bool {
    guard bytes.endIndex - index >= phrase.count else { return false }
    for (offset, byte) in phrase.enumerated() where lowercased(bytes[index + offset]) != byte { return false }
    return true
  }

  private struct Phrase {
    var bytes: [UInt8]
    var kind: Kind
  }

  private static let byFirstByte: [[Phrase]] = {
    var table = [[Phrase]](repeating: [], count: 256)
    for (text, kind) in phrases {
      guard let first = text.utf8.first else { continue }
      table[Int(first)].append(Phrase(bytes: Array(text.utf8), kind: kind))
    }
    return table
  }()

  private static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

  /// In lower case; one that holds another stands before it.
  private static let phrases: [(String, Kind)] = [
    // target/i386/kvm/kvm.c: kvm_buf_set_msrs, kvm_get_msrs
    ("error: failed to set msr 0x", .msrNotSet), ("error: failed to get msr 0x", .msrNotRead),
    ("kvm_buf_set_msrs: assertion", .msrAssertion), ("kvm_put_msrs: assertion", .msrAssertion),
    ("kvm_get_msrs: assertion", .msrAssertion), ("kvm_msr_buf->nmsrs", .msrAssertion),
    // accel/kvm/kvm-all.c: kvm_init, kvm_init_vcpu, kvm_set_user_memory_region
    ("could not access kvm kernel module", .cannotAccessKVM), ("failed to initialize kvm", .cannotInitializeKVM),
    ("invalid accelerator", .invalidAccelerator), ("no accelerator found", .noAccelerator),
    ("kvm not supported for", .kvmNotSupported), ("host doesn't support requested features", .featuresMissing),
    ("kvm_set_cpuid2 failed", .cpuidRefused), ("kvm_set_user_memory_region failed", .memorySlotRefused),
    ("kvm_set_user_memory_region: ", .memorySlotRefused), ("ioctl(kvm_create_vcpu)", .vcpuNotCreated),
    ("kvm_init_vcpu failed", .vcpuNotCreated), ("kvm_init_vcpu: kvm_get_vcpu failed", .vcpuNotCreated),
    ("ioctl(kvm_create_vm) failed", .vmNotCreated), ("kvm_create_vm failed", .vmNotCreated),
    ("requires kvm or hvf", .hostModelNeedsKVM), ("cpu model 'host' requires kvm", .hostModelNeedsKVM),
    ("cannot set up guest memory", .memoryNotAllocated),
    ("unable to map backing store for guest ram", .memoryNotAllocated),
    ("terminating on signal", .terminating), ("qemu: hardware error:", .hardwareError),
    ("unsupported machine type", .unsupportedMachine), ("could not load kernel", .fileNotLoaded),
    ("could not load pc bios", .fileNotLoaded), ("could not open disk image", .fileNotLoaded),
    ("failed to get \"write\" lock", .diskLocked),
    ("error loading uncompressed kernel without pvh elf note", .bootProtocolMissing),
    // accel/tcg/translator.c: translator_access, 7.2
    ("assertion `phys_page != -1", .translationOutsideMemory),
    // arch/x86/kvm/vmx/vmx.c
    ("vmptrld failed", .vmptrldFailed), ("kvm: vmptrld ", .vmptrldFailed), ("vmwrite failed", .vmwriteFailed),
    ("vmwrite error", .vmwriteFailed), ("vmread failed", .vmreadFailed), ("vmread error", .vmreadFailed),
    ("vmclear failed", .vmclearFailed), ("vmclear fail:", .vmclearFailed),
    ("dump_invalid_vmcs=1", .invalidVMCSHint), ("dump_invalid_vmcb=1", .invalidVMCSHint),
    ("unexpected exit reason 0x", .unexpectedExit), ("seamcall[", .seamcallFailed), ("seamcall (", .seamcallFailed),
    ("disabled by bios", .disabledByBIOS), ("disabled (by bios)", .disabledByBIOS),
    ("vmx not supported by cpu", .noVirtualization), ("svm not supported by cpu", .noVirtualization),
    ("kvm: no hardware support", .noVirtualization), ("vt-x not available", .noVirtualization),
    ("kvm: already loaded vendor module", .kvmBusy), ("can't enable virtualization", .kvmBusy),
    ("nested paging enabled", .nestedPagingOn), ("nested paging disabled", .nestedPagingOff),
    // arch/x86/kvm/x86.c
    ("unhandled rdmsr", .unhandledMSRRead), ("unhandled wrmsr", .unhandledMSRWrite), ("ignored rdmsr", .ignoredMSR),
    ("ignored wrmsr", .ignoredMSR), ("emulating exchange as write", .exchangeAsWrite),
    ("smp vm created on host with unstable tsc", .unstableTSC), ("l1tf cpu bug present", .mitigationNote),
    ("mds cpu bug present", .mitigationNote), ("mmio stale data cpu bug present", .mitigationNote),
    // arch/x86/kernel/cpu/mce, mm/memory-failure.c, mm/oom_kill.c, arch/x86/mm/fault.c, kernel/watchdog.c
    ("memory error not recovered", .machineCheck), ("machine check exception", .machineCheck),
    ("uncorrected hardware memory error", .machineCheck), ("memory failure: 0x", .memoryFailure),
    ("mce: killing ", .memoryFailure), ("hardware memory corruption", .memoryFailure),
    ("out of memory: killed process", .outOfMemory),
    ("out of memory: kill process", .outOfMemory), ("bug: unable to handle", .kernelOops),
    ("unable to handle kernel", .kernelOops), ("bug: kernel null pointer dereference", .guestOops),
    ("stack guard page was hit", .guestOops), ("bug: scheduling while atomic", .guestOops), ("oops: ", .guestOops),
    ("kernel bug at ", .guestOops),
    ("invalid opcode: 0000 [#", .guestOops), ("divide error: 0000 [#", .guestOops),
    ("double fault: 0000 [#", .guestOops),
    ("general protection fault, probably for", .generalProtectionInHost),
    ("general protection fault: ", .generalProtectionInHost), ("soft lockup - cpu", .softLockup),
    ("warning: cpu: ", .kernelWarning), ("info: task ", .taskHung),
    ("split lock detection: #ac", .splitLock), ("split_lock", .splitLock),
    // The guest
    ("trap invalid opcode ip:", .trapInProgram), ("trap divide error ip:", .trapInProgram),
    ("illegal instruction (core dumped)", .illegalInstruction), ("does not support x86-64-v", .missingLevel),
    ("hypervisor vendor:", .hypervisorBelow), ("hypervisor detected:", .hypervisorBelow),
    // drivers/firmware/dmi_scan.c: dmi_format_ids, as each oops has it; QEMU's and others' SMBIOS tables
    ("hardware name: qemu ", .virtualHardware), ("hardware name: red hat kvm", .virtualHardware),
    ("hardware name: vmware", .virtualHardware), ("hardware name: innotek gmbh virtualbox", .virtualHardware),
    ("hardware name: xen hvm domu", .virtualHardware),
    // Firecracker src/vmm, cloud-hypervisor hypervisor/src/kvm, crosvm; arch/x86/mm/fault.c: show_signal_msg
    ("kvm_run_exit cpu_index ", .runExit), ("kvm_exit_fail_entry", .entryRefused), ("kvm_exit_shutdown", .shutdownExit),
    ("guest likely triple-faulted", .shutdownExit),
    // Firecracker src/vmm: Vcpu::run_emulation; the name of the KVM_EXIT_* in kvm-ioctls follows (src/ioctls/vcpu.rs: VcpuExit)
    ("unexpected exit reason on vcpu run: shutdown", .shutdownExit),
    ("unexpected exit reason on vcpu run: ", .unexpectedVCPUExit),
    ("vcpuexit::shutdown", .shutdownExit), ("exit reason: shutdown", .shutdownExit), ("segfault at ", .processCrashed),
    ("exit status 0", .exitStatusZero),
    // Firecracker src/vmm/src/vstate/vcpu.rs: handle_kvm_exit
    ("kvm failed to emulate an instruction", .emulationFailedElsewhere),
    // QEMU target/i386/whpx/whpx-all.c, target/i386/hax/hax-all.c (up to 8.1)
    ("whpx: unexpected vp exit code ", .whpxExit), ("vcpu shutdown request", .haxmShutdown),
    // VirtualBox VMMR3/VMMGuruMeditation.cpp, Bochs logio.cc, Xen arch/x86/hvm/vmx
    ("vinf_em_triple_fault", .tripleFaultElsewhere), ("guru meditation ", .virtualBox),
    // Xen arch/x86/hvm/hvm.c: hvm_triple_fault, 4.2 to 4.20; include/xen/sched.h: domain_crash
    ("triple fault - invoking hvm shutdown", .tripleFaultElsewhere), ("triple fault on vcpu", .tripleFaultElsewhere),
    ("domain_crash called from ", .xenCrash), ("domain_crash_sync called from ", .xenCrash),
    // seL4 src/kernel/faulthandler.c: print_fault, 12.1
    ("vm fault on data at address ", .threadFault), ("vm fault on code at address ", .threadFault),
    // VMware's msg.monitorevent.tripleFault, Hyper-V's event 18560
    ("causing a virtual cpu to enter the shutdown state", .tripleFaultElsewhere),
    ("unrecoverable error occurred on a virtual processor that caused a triple fault", .tripleFaultElsewhere),
    ("exception with no resolution", .tripleFaultElsewhere), (">>panic<<", .bochs),
    ("gate descriptor is not valid sys seg", .gateRefused), ("check_cs(0x", .refusedByBochs),
    ("fetch_raw_descriptor: ", .refusedByBochs), ("load_seg_reg(", .refusedByBochs),
    ("interrupt(): gate not present", .refusedByBochs), ("interrupt(): vector must be within", .refusedByBochs),
    ("prefetch: eip [", .refusedByBochs), ("check_cr0(", .refusedByBochs), ("check_cr4(", .refusedByBochs),
    ("unexpected trap ", .unexpectedTrap), ("#ud at", .undefinedBytes), ("invalid opcode at", .undefinedBytes),
    ("illegal instruction at", .undefinedBytes), ("vmentry failure (reason ", .xenEntryFailed),
    ("kernel panic - not syncing", .guestPanic), ("assertion `", .assertion), ("assertion failed: ", .assertion),
  ]
}
