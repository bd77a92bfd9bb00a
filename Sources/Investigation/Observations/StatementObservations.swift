import GuestImage
import QEMU
import X86

/// What a line of QEMU, of the host's kernel or of the guest's means: what it says, what it rules out, and what to do next.
struct StatementMeaning: Hashable {
  /// Who is at fault, as far as the line tells.
  enum Side: Hashable {
    case host
    case commandLine
    case guest
    /// It says something without saying that anything is wrong.
    case none
  }

  var side: Side
  var words: String
  /// Whether QEMU ends at once, so that the guest runs no more.
  var isFatal = false
}

extension Statement {
  /// Nil for what is said elsewhere in the verdict.
  var meaning: StatementMeaning? { ofQEMU ?? ofHost ?? ofGuest ?? ofOthers }

  private func fatal(_ side: StatementMeaning.Side, _ words: String) -> StatementMeaning {
    StatementMeaning(side: side, words: words, isFatal: true)
  }

  /// QEMU 7.2, the functions named.
  private var ofQEMU: StatementMeaning? {
    switch kind {
    case .msrNotSet:
      let what = msr.map { "\(KnownMSR.words($0.index))\($0.value.map { " to \($0.hexadecimal)" } ?? "")" } ?? "an MSR"
      return fatal(
        .host,
        "QEMU could not set \(what): this host's KVM refuses the MSR or the value, and QEMU aborts (target/i386/kvm/kvm.c: kvm_buf_set_msrs). The guest ran no instruction "
          + "since; the value comes from the CPU model, a migration or a snapshot, not from a fault of the guest")
    case .msrNotRead:
      let what = msr.map { KnownMSR.words($0.index) } ?? "an MSR"
      return fatal(.host, "QEMU could not read \(what): this host's KVM does not have it, and QEMU aborts")
    case .msrAssertion:
      return fatal(
        .host,
        "QEMU aborts because KVM took fewer MSRs than it was given (KVM_SET_MSRS or KVM_GET_MSRS). The line before, `error: failed to set MSR`, names the MSR; the guest is not at fault"
      )
    case .cannotAccessKVM:
      return fatal(
        .host,
        text.lowercased().contains("permission denied")
          ? "/dev/kvm is there, but this user may not open it: the guest did not start"
          : "/dev/kvm is not there: the kvm_intel or kvm_amd module is not loaded, virtualization is off in the firmware, or the host is itself a guest without nested virtualization. The guest did not start"
      )
    case .cannotInitializeKVM where isBusy, .vmNotCreated where isBusy:
      // Linux arch/x86/kvm/vmx/vmx.c: vmx_hardware_enable, svm/svm.c: svm_hardware_enable, 6.1.
      return fatal(
        .host,
        "Another hypervisor, as VirtualBox or VMware, has the processor's virtualization (EBUSY): KVM cannot use it until that one is stopped, and the guest did not start"
      )
    case .cannotInitializeKVM: return fatal(.host, "QEMU could not use KVM: the guest did not start")
    case .invalidAccelerator:
      return fatal(
        .commandLine, "This QEMU was built without the accelerator, or its name is misspelt: the guest did not start")
    case .noAccelerator, .kvmNotSupported: return fatal(.host, "No accelerator could be used: the guest did not start")
    case .featuresMissing:
      return fatal(
        .host,
        "The CPU model with `enforce` (or the migration) asks for features that this host's KVM does not have: the guest did not start. The warnings before name them"
      )
    case .cpuidRefused: return fatal(.host, "KVM refused the guest's CPUID (KVM_SET_CPUID2): the guest did not start")
    case .memorySlotRefused:
      return fatal(
        .host,
        "KVM refused a range of guest memory (KVM_SET_USER_MEMORY_REGION): too many or overlapping slots, or a backing that cannot be mapped"
      )
    case .vcpuNotCreated: return fatal(.host, "KVM made no vCPU (KVM_CREATE_VCPU): the guest did not start")
    case .vmNotCreated: return fatal(.host, "KVM made no virtual machine (KVM_CREATE_VM): the guest did not start")
    case .hostModelNeedsKVM: return fatal(.commandLine, "-cpu host was asked for without KVM: the guest did not start")
    case .memoryNotAllocated:
      return fatal(.host, "The host could not give QEMU the guest's memory (-m): the guest did not start")
    case .terminating:
      return StatementMeaning(side: .none, words: "Somebody ended QEMU with a signal: the guest did not end by itself")
    case .hardwareError:
      return fatal(.host, "A device of QEMU gave up on itself: hw_error, a defect of QEMU or of its configuration")
    case .unsupportedMachine: return fatal(.commandLine, "This QEMU has no such machine type: the guest did not start")
    case .fileNotLoaded:
      return fatal(.commandLine, "QEMU could not read a file that it was given: the guest did not start")
    case .diskLocked: return fatal(.commandLine, "Another process has the disk image open: the guest did not start")
    case .bootProtocolMissing:
      return fatal(
        .commandLine,
        "-kernel was given a 64-bit ELF without a PVH note, which QEMU cannot start: the guest did not run")
    case .translationOutsideMemory:
      return fatal(
        .guest,
        "TCG aborts because code runs on from a page with memory into one without (accel/tcg/translator.c: translator_access)"
      )
    case .assertion where text.contains("cpu->num_ases"):
      // include/hw/core/cpu.h: cpu_asidx_from_attrs, reached from x86_cpu_dump_state's CPU_DUMP_CODE (5.2 to 7.2).
      return StatementMeaning(
        side: .none,
        words:
          "An assertion of QEMU's failed while it printed the bytes at RIP (Code=) of a processor in system-management mode: a consequence of what was reported before, not the cause"
      )
    case .assertion where !isOfQEMU:
      return StatementMeaning(
        side: .none,
        words:
          "An assertion failed (\(text.prefix(100))): of a program or of the guest's kernel, the line does not say whose"
      )
    case .assertion:
      return fatal(.host, "An assertion failed: QEMU aborted by itself, a defect of QEMU or of what it was given")
    default: return nil
    }
  }

  /// Linux 5.15 to 6.19, arch/x86/kvm unless another file is named.
  private var ofHost: StatementMeaning? {
    switch kind {
    case .vmptrldFailed:
      StatementMeaning(
        side: .host,
        words:
          "VMPTRLD failed: the host's processor did not accept a VMCS that KVM had used before. VMX instructions after it work on the wrong VMCS or on none. Nothing that a guest does can cause it: the "
          + "host's memory or processor, or another hypervisor")
    case .vmwriteFailed, .vmreadFailed, .vmclearFailed:
      StatementMeaning(
        side: .host,
        words: "A VMX instruction on the host failed: KVM has no valid VMCS current. That is never the guest's doing")
    case .disabledByBIOS:
      StatementMeaning(
        side: .host,
        words:
          "The host's firmware has virtualization (VT-x or SVM) turned off: KVM cannot be used until it is turned on there"
      )
    case .noVirtualization:
      StatementMeaning(
        side: .host,
        words:
          "The host's processor offers no VT-x or SVM: it has none, or the host is a guest without nested virtualization"
      )
    case .kvmBusy:
      StatementMeaning(
        side: .host, words: "Another hypervisor, or the other KVM module, has the processor's virtualization")
    case .unhandledMSRRead, .unhandledMSRWrite: StatementMeaning(side: .none, words: unhandledMSR)
    case .ignoredMSR:
      StatementMeaning(
        side: .none,
        words:
          "kvm.ignore_msrs is 1: KVM let an access to \(msr.map { KnownMSR.words($0.index) } ?? "an unknown MSR") pass with 0"
      )
    case .unexpectedExit:
      StatementMeaning(
        side: .host,
        words: "The processor left the guest for a reason that this KVM does not know: suberror 4, the host's side")
    case .exchangeAsWrite:
      StatementMeaning(
        side: .none,
        words:
          "A locked instruction was emulated on device memory, not atomically: the guest uses a lock in MMIO; no death by itself"
      )
    case .invalidVMCSHint: nil
    case .nestedPagingOn:
      StatementMeaning(
        side: .none, words: "kvm_amd uses nested paging (npt=1): the processor itself walks the guest's tables")
    case .nestedPagingOff:
      StatementMeaning(
        side: .none, words: "kvm_amd uses no nested paging (npt=0): KVM walks the guest's tables itself (shadow paging)"
      )
    case .seamcallFailed:
      StatementMeaning(
        side: .host,
        words:
          "A call of the host's kernel into the TDX module failed: the guest is a trust domain, and what failed is on the host"
      )
    case .unstableTSC:
      StatementMeaning(side: .none, words: "The host's TSC is unstable: the guest's clock may jump; no death by itself")
    case .mitigationNote: nil
    case .machineCheck:
      StatementMeaning(
        side: .host, words: "The host had a machine check: an error of its memory or processor, not of the guest")
    case .memoryFailure:
      StatementMeaning(
        side: .host,
        words:
          "The host's kernel took a page with a memory error out of use, and tells or ends who has it mapped: a fault of the host's hardware, or an injected one"
      )
    case .outOfMemory:
      StatementMeaning(
        side: .host, words: "The host had no memory left and killed a process",
        isFatal: text.lowercased().contains("qemu"))
    case .kernelOops, .generalProtectionInHost:
      StatementMeaning(
        side: .none,
        words:
          "A kernel met a bad address in its own code (an oops). If the line is of the host's log, the host is at fault; if it is of the guest's console, the guest's kernel is"
      )
    case .softLockup:
      StatementMeaning(
        side: .none,
        words: "A processor did not schedule for many seconds; in a guest that is often a host that has no time for it")
    case .splitLock:
      StatementMeaning(
        side: .none,
        words:
          "The guest locks data across cache lines, which this host slows down (split_lock_detect); no death by itself")
    default: nil
    }
  }

  private var ofGuest: StatementMeaning? {
    switch kind {
    case .trapInProgram, .illegalInstruction:
      StatementMeaning(
        side: .guest,
        words:
          "A user program of the guest met an exception. \"invalid opcode\" is an instruction that the guest's processor does not have, or one that KVM had to emulate because it or its operand lies in "
          + "device memory (MMIO) and that its emulator does not know")
    case .missingLevel:
      StatementMeaning(
        side: .guest,
        words:
          "A program was built for a level of x86-64 (\(level?.name ?? "one above the first")) that this processor does not have: it ends before its first line"
      )
    case .hypervisorBelow:
      StatementMeaning(
        side: .none,
        words:
          "A hypervisor is named below this system (\(text.prefix(60))): it is a virtual machine itself, so virtualization in it is nested"
      )
    // The end of a panic, which repeats its message.
    case .guestPanic:
      StatementMeaning(
        side: .guest,
        words: "A Linux kernel panicked: \((text.hasSuffix(" ]---") ? text.dropLast(5) : text[...]).prefix(120))")
    case .guestOops where text.contains("[#") || text.lowercased().hasPrefix("kernel bug at "):
      StatementMeaning(
        side: .none,
        words:
          "A Linux kernel met an error in its own code and says so (\(text.prefix(60))): the processor delivered the exception and the kernel handled it. If the line is of the guest's console, its kernel or a device's driver is at fault; "
          + "the registers that follow are Linux's own account, which is not judged here")
    default: nil
    }
  }

  /// What monitors other than QEMU say, and other hypervisors and emulators.
  private var ofOthers: StatementMeaning? {
    switch kind {
    case .shutdownExit:
      StatementMeaning(
        side: .none,
        words:
          "The virtual machine monitor got KVM_EXIT_SHUTDOWN: the processor met a triple fault. A system that resets itself by one on purpose (Linux with reboot=triple, or where the keyboard controller does not answer) looks the same; "
          + "by then the registers are a reset's where the host is AMD's. Under QEMU the same image would tell more: inquest run -- qemu-system-x86_64 …"
      )
    case .entryRefused:
      StatementMeaning(
        side: .none,
        words:
          "The monitor got KVM_EXIT_FAIL_ENTRY: the processor refused to enter the guest. The hardware's reason, which the line does not show, tells why (hardware_entry_failure_reason in struct kvm_run)"
      )
    case .processCrashed where isOfMonitor:
      StatementMeaning(
        side: .host,
        words:
          "QEMU itself crashed on the host, in its own code or a library's (\(text.suffix(80))): the guest did not die of its own"
      )
    case .exitStatusZero:
      StatementMeaning(
        side: .none,
        words:
          "A status of 0 is named. If it is QEMU's: with -no-reboot that is also what a triple fault looks like, since QEMU takes it for a reset; so do a reset and a power-off that the guest asked for. -d int,cpu_reset tells them apart"
      )
    case .virtualBox:
      StatementMeaning(
        side: .none,
        words:
          "VirtualBox stopped the guest (\(text.prefix(60)))\(isTripleFault ? ": a triple fault" : ""). The registers are those behind `Guest CPUM` in its log; the same image under QEMU would tell more: inquest run -- qemu-system-x86_64 …"
      )
    case .bochs:
      StatementMeaning(
        side: .none,
        words:
          "Bochs stopped (\(text.prefix(100))); the same image under QEMU would tell more: inquest run -- qemu-system-x86_64 …"
      )
    case .tripleFaultElsewhere where text.lowercased().contains("exception with no resolution"):
      StatementMeaning(
        side: .none,
        words:
          "Bochs says that a third exception came while #DF was being delivered: a triple fault. The number it names (13) is of the third; what was first it does not say"
      )
    case .gateRefused:
      StatementMeaning(side: .none, words: refusedGate)
    case .refusedByBochs:
      StatementMeaning(side: .guest, words: "Bochs says what it refused: \(refusal) (\(text.prefix(120)))")
    case .undefinedBytes: undefinedInstruction.map { StatementMeaning(side: .none, words: $0) }
    case .unexpectedTrap:
      trapNumber.map { number in
        StatementMeaning(
          side: .guest,
          words:
            "xv6's kernel met \(ExceptionVector(rawValue: number).name) in its own code, which it does not expect (\(text.prefix(100)))"
        )
      }
    case .xenCrash:
      StatementMeaning(
        side: .none,
        words:
          "Xen ended the domain itself, at the place in its own source that it names (\(text.prefix(100))): no triple fault of the guest. What it says before tells why"
      )
    case .unexpectedVCPUExit where text.lowercased().contains(": internalerror"):
      StatementMeaning(
        side: .none,
        words:
          "The monitor got KVM_EXIT_INTERNAL_ERROR, and does not show which: KVM gave up on the guest, mostly on an instruction that it had to emulate. Under QEMU the same image would tell more: inquest run -- qemu-system-x86_64 …"
      )
    case .unexpectedVCPUExit:
      StatementMeaning(
        side: .none,
        words:
          "The monitor got an exit from KVM that it does not handle (\(text.suffix(60))), and stopped. Under QEMU the same image would tell more: inquest run -- qemu-system-x86_64 …"
      )
    case .whpxExit:
      StatementMeaning(side: .none, words: wordsOfWindows)
    case .haxmShutdown:
      StatementMeaning(
        side: .none,
        words:
          "HAXM stopped the processor (HAX_EXIT_STATECHANGE), and QEMU the guest: so HAXM reports a triple fault, and so any exit that it cannot handle. Its driver's log tells which"
      )
    case .emulationFailedElsewhere:
      StatementMeaning(
        side: .none,
        words:
          "KVM could not emulate an instruction of the guest, and the monitor does not show which. Under QEMU the same image would tell more: inquest run -- qemu-system-x86_64 …"
      )
    case .threadFault:
      StatementMeaning(side: .none, words: faultOfThread)
    case .xenEntryFailed:
      StatementMeaning(
        side: .none,
        words:
          "Xen, not KVM, could not enter its guest (\(text.prefix(60))); the numbers are Intel's exit reasons, as with KVM"
      )
    default: nil
    }
  }

  /// What the beginnings of Bochs's messages mean (cpu/ctrl_xfer_pro.cc, segment_ctrl_pro.cc, exception.cc, crregs.cc; 2.6 to 3.0).
  private var refusal: String {
    let words = [
      ("check_cs(", "the code selector of a far transfer or of a gate"),
      ("fetch_raw_descriptor", "a selector that lies beyond the limit of its table"),
      ("load_seg_reg(", "a selector that was to be loaded into a segment register"),
      ("interrupt(): gate not", "the gate of an interrupt or exception, which is not present"),
      ("interrupt(): vector", "a vector whose gate lies beyond the IDT's limit"),
      ("prefetch", "an instruction beyond the limit of CS"), ("check_cr", "a value of a control register"),
    ]
    let start = text.lowercased()
    return words.first { start.hasPrefix($0.0) }?.1 ?? "something"
  }

  /// seL4 shows a fault of a thread that nobody handles, with the error code that the processor gave, on an x86 (src/arch/x86/kernel/vspace.c:
  /// handleVMFault, 12.1).
  private var faultOfThread: String {
    let start =
      "A microkernel says that a thread met a page fault, which no other handled (\(text.prefix(80))): no triple fault"
    guard let status = text.split(separator: " ").last, status.hasPrefix("0x"),
      let code = UInt32(status.dropFirst(2), radix: 16)
    else { return start }
    return
      "\(start). If the processor is an x86, the status is the error code: \(PageFaultErrorCode(rawValue: code).sentence)"
  }

  /// The instruction whose bytes stand at the end of the line, as 64-bit code, and what it needs.
  private var undefinedInstruction: String? {
    let words = text.split { $0 == " " || $0 == ":" || $0 == "," }.map(String.init)
    let bytes = words.reversed().prefix { $0.utf8.count == 2 }.reversed().compactMap { UInt8($0, radix: 16) }
    guard bytes.count >= 2, let instruction = try? Instruction.decode(bytes, at: 0, mode: .long64) else { return nil }
    let shown = bytes.prefix(instruction.length).map(\.hexadecimalByte).joined(separator: " ")
    let features = (instruction.requirements?.features ?? []).compactMap(\.first).map { "\($0.manualName), \($0.bit)" }
    let enables = (instruction.requirements?.enables.subtracting(.taskSwitchedOff).bits ?? []).map {
      "\($0.name)=\($0.isSet ? 1 : 0)"
    }
    let needs = features + enables
    guard !needs.isEmpty else { return "The bytes \(shown) are `\(instruction.text)` in 64-bit code" }
    return
      "The bytes \(shown) are `\(instruction.text)` in 64-bit code, which needs \(needs.joined(separator: " and ")): #UD says that one of these is not so. Where all are, the fault is with who executes it, the emulator or the processor, and not the guest"
  }

  /// xv6 prints it in decimal (trap.c).
  private var trapNumber: UInt8? {
    text.split(separator: " ").dropFirst(2).first.flatMap { UInt8($0) }.flatMap { $0 < 32 ? $0 : nil }
  }

  /// `interrupt(): gate descriptor is not valid sys seg (vector=0x0d)`; in long mode without the vector (Bochs cpu/exception.cc, 2.6 to 3.0).
  private var refusedGate: String {
    let number = text.split(separator: "=").last.flatMap { UInt8($0.dropFirst(2).prefix(2), radix: 16) }
    let name = number.map { number in
      let exception = number < 32 ? ", \(ExceptionVector(rawValue: number).name)" : ""
      if number == 8 {
        return
          "vector 0x8, and for nothing before it: #DF follows another exception, so most likely IRQ 0, the timer's, of a PIC that was not set up anew"
      }
      let line = (9...15).contains(number) ? ", or IRQ \(number - 8) of a PIC that was not set up anew" : ""
      return "vector \(number.hexadecimal)\(exception)\(line)"
    }
    return
      "Bochs found no gate in the IDT for \(name ?? "an interrupt or exception"): the entry is empty, or of another type, or the IDT is not where IDTR points"
  }

  private var wordsOfWindows: String {
    switch exitOfWindows {
    case 4:
      "Windows' hypervisor left with WHvRunVpExitReasonUnrecoverableException: the guest's processor met a triple fault. Named models of -cpu mend it where host or max show a guest what this hypervisor does not have"
    case 5:
      "Windows' hypervisor left with WHvRunVpExitReasonInvalidVpRegisterValue: it refuses a register's value, as a failed VM entry under KVM"
    default:
      "Windows' hypervisor left for a reason that QEMU does not handle (WHV_RUN_VP_EXIT_REASON in the line)"
    }
  }

  /// strerror's words for EBUSY.
  var isBusy: Bool { text.lowercased().contains("device or resource busy") }

  /// Linux names the process before its number: `qemu-system-x86[1816]: segfault at 0`, `CPU 0/KVM[1816]: …`.
  private var isOfMonitor: Bool {
    let name = preceding.lowercased()
    guard name.contains("]: ") else { return false }
    return name.contains("qemu") || name.contains("/kvm[")
  }

  /// Until the guest runs, it is QEMU that writes MSRs: at the reset vector none of the guest's instructions has run
  /// (arch/x86/kvm/x86.c: kvm_set_msr_common, which KVM_SET_MSRS and WRMSR share).
  private var unhandledMSR: String {
    let name = msr.map { KnownMSR.words($0.index) } ?? "an MSR"
    return isAtReset
      ? "\(name) was written or read while the guest still stood at the reset vector, where it had run nothing: by QEMU, not by the guest. This host's KVM does not have it"
      : "The guest used \(name), which KVM does not have: it was given #GP, unless kvm.ignore_msrs is set. Booting systems probe MSRs so and live"
  }

  private var isAtReset: Bool { preceding.lowercased().contains("guest rip: 0xfff0 ") }

  /// The MSR's number, and the value where one is named: `0x48f to 0x7ff`, `0x1d9 data 0x4`.
  var msr: (index: UInt32, value: UInt64?)? {
    let numbers = text.split { !($0.isHexDigit || $0 == "x") }.filter { $0.hasPrefix("0x") }
      .compactMap { UInt64($0.dropFirst(2), radix: 16) }
    return numbers.first.flatMap { UInt32(exactly: $0) }.map { ($0, numbers.dropFirst().first) }
  }

  /// The level of x86-64 that is named.
  var level: MicroarchitectureLevel? {
    text.split(separator: " ").lazy.compactMap { MicroarchitectureLevel(name: String($0)) }.first
  }
}

extension Scene {
  /// What the known lines of the log mean, each once, with how often it came.
  var statementObservations: [Evidence] {
    var seen: [String: Int] = [:]
    let hasPanic = log.contains {
      if case .statement(let one) = $0.value { one.kind == .guestPanic && !one.isEndOfPanic } else { false }
    }
    for entry in log {
      if case .statement(let statement) = entry.value, !(hasPanic && statement.isEndOfPanic),
        let words = statement.meaning?.words
      {
        seen[words, default: 0] += 1
      }
    }
    var told: Set<String> = []
    var isInChain = false
    return log.compactMap { entry in
      guard case .statement(let statement) = entry.value else {
        isInChain = false
        return nil
      }
      // What comes of a gate that Bochs does not find is the same for the next exception.
      let isOfChain = [.gateRefused, .refusedByBochs].contains(statement.kind)
      let follows = isInChain && isOfChain || hasPanic && statement.isEndOfPanic
      isInChain = isOfChain
      guard !follows, let meaning = statement.meaning, told.insert(meaning.words).inserted else { return nil }
      let count = isOfChain ? 1 : seen[meaning.words, default: 1]
      return Evidence(meaning.words + (count > 1 ? " (\(count) such lines)" : ""), entry.source)
    }
  }

  /// The first line by which QEMU ended itself.
  var fatalStatement: Sourced<Statement>? {
    for entry in log {
      if case .statement(let statement) = entry.value, statement.meaning?.isFatal == true {
        return Sourced(statement, entry.source)
      }
    }
    return nil
  }

  func statement(_ kinds: Statement.Kind...) -> Sourced<Statement>? {
    for entry in log {
      if case .statement(let statement) = entry.value, kinds.contains(statement.kind) {
        return Sourced(statement, entry.source)
      }
    }
    return nil
  }
}
