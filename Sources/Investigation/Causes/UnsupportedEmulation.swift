import GuestImage
import QEMU
import X86

/// `emulation.unsupported-instruction`: KVM had to emulate an instruction that its emulator does not know.
struct UnsupportedEmulation: JudgedCause, SingleCause {
  static let id = "emulation.unsupported-instruction"
  static let title = "KVM cannot emulate the instruction"

  private let instruction: Instruction
  /// Whether it is a transfer of control that the emulator has for other cases only.
  private let isTransfer: Bool
  /// Where an operand leads, if that is no memory.
  private let device: PhysicalAddress?
  /// Whether newer emulators know the instruction: then the host's kernel is older.
  private let isKnownNow: Bool
  /// Whether nothing but the instruction can have been the reason: it was fetched without paging.
  private let isFetched: Bool
  /// Whether KVM named the instruction's bytes as those that its emulator could not execute.
  private let isReported: Bool
  private let isUnderPVM: Bool
  /// What the processor raises for it where it is not emulated; nil if nothing is known to.
  private let exceptionElsewhere: RaisedException?

  /// Nil unless the instruction is one that the emulator lacks, or lacked.
  init?(_ next: NextInstruction, at instant: Instant, in scene: Scene) {
    guard let instruction = next.instruction,
      instruction.isTransferUnknownToEmulator(at: instant)
        || next.certainException == nil
          && (instruction.isUnknownToEmulator || instruction.isLearnedLate(by: scene.linux))
    else { return nil }
    self.instruction = instruction
    exceptionElsewhere = next.certainException
    isTransfer = instruction.isTransferUnknownToEmulator(at: instant)
    isKnownNow = !instruction.isUnknownToEmulator && !isTransfer
    let reported = ReportedFailure(scene: scene, processor: nil, next: next).instructionBytes
    isReported = reported?.starts(with: instruction.bytes) == true
    isUnderPVM = instant.isUnderPVM
    isFetched = !instant.state.cr0.contains(.paging)
    device =
      instruction.memoryOperands.lazy.compactMap { operand -> PhysicalAddress? in
        guard operand.memory?.purpose == .access,
          let address = instruction.linearAddress(of: operand, in: instant.state),
          case .physical(let physical) = instant.translate(
            address, for: PageAccess(operand.isWrite ? .write : .read, by: instant.privilege))
        else { return nil }
        do throws(UnavailableMemory) {
          _ = try instant.memory.bytes(at: physical, count: 1)
          return nil
        } catch {
          return error.reason == .notCaptured ? nil : physical
        }
      }.first
  }

  var confidence: Confidence {
    if isReported, !isKnownNow { return .proven }
    // What has no operand in memory is only emulated where everything is: as without paging, where VMX may be unable to run the code.
    if isKnownNow || instruction.memoryOperands.isEmpty { return isFetched ? .likely : .possible }
    return device == nil ? .likely : .proven
  }

  var summary: String {
    let why =
      device.map {
        "Its operand is at physical \($0.rawValue.hexadecimal), where a device answers, so KVM had to emulate it"
      }
      ?? (isUnderPVM
        ? "This host's KVM is kvm_pvm, which emulates much of a kernel's code, also where it touches no device"
        : "KVM emulates an instruction that touches a device, and on some hosts (kvm_pvm, VMX without unrestricted guests) every one")
    let knowledge =
      isTransfer && instruction.isFarBranch
      ? "is a far transfer that KVM's emulator does not know: through a descriptor that is neither code nor data, or to another CPL"
      : isKnownNow
        ? "is an instruction that older emulators of KVM do not know\(instruction.emulatorHistory): the host's kernel may be older, unless KVM could not even fetch it"
        : "is an instruction that KVM's emulator does not know"
    let elsewhere =
      exceptionElsewhere.map { " Where it is not emulated it raises \($0.name)." } ?? ""
    return "`\(instruction.text)` \(knowledge). \(why), and gave up: an internal error, suberror 1.\(elsewhere)"
  }

  var remedies: [Remedy] {
    let elsewhere = Remedy.host(
      "run the guest under TCG (-accel tcg), or on a KVM that does not emulate this",
      "TCG executes each instruction itself.")
    if isTransfer {
      guard let exceptionElsewhere else { return [elsewhere] }
      return [
        .guest(
          "mend what raises \(exceptionElsewhere.name) there",
          "The instruction fails on every processor, emulated or not.")
      ]
    }
    return [
      instruction.memoryOperands.isEmpty
        ? .guest(
          "leave the instruction out of code that KVM has to emulate (ENDBR: build it with -fcf-protection=none)",
          "On hosts without unrestricted guests that is real mode's code, firmware's and boot loaders'.")
        : .guest(
          "access devices with plain moves of 1, 2, 4 or 8 bytes (volatile accesses, MOV), not with x87, SSE or AVX",
          "A memcpy or a struct assignment on a device's memory is what compilers turn into vector instructions."),
      elsewhere,
    ]
  }

  static let manual = """
    An instruction that touches a device's memory cannot be executed by the processor alone: KVM decodes and emulates it. Its emulator knows the
    instructions that drivers use, and few others. For the rest KVM_RUN ends with `KVM internal error. Suberror: 1`, `emulation failure`.

    ## What it does not know

    x87 but FNINIT, and FNSTCW and FNSTSW to memory; MMX, SSE and AVX but the plain moves of 16 bytes (MOVUPS, MOVAPS, MOVDQA, MOVDQU, MOVNTPS, MOVNTDQ;
    with VEX since Linux 6.19); CMPXCHG16B, POPCNT, CRC32, AES and BMI; XSAVE and its kin; LDMXCSR, fences; ENDBR, RDSSP; INT n and IRET in protected mode;
    far jumps and calls through gates, TSS and empty descriptors, far returns to another CPL.

    ## How to recognise it

    Suberror 1; the marked byte of `Code=` is such an instruction, and `inquest walk` shows that its operand is no RAM. At CPL 3 the program
    gets #UD instead, and the guest goes on.

    ## Where

    Every KVM for accesses to devices. kvm_pvm, and VMX without unrestricted guests in real mode, emulate each instruction: there it needs no
    device. TCG has no such limit.

    ## The cure

    Plain moves for devices. In C and Swift: volatile accesses of single words, no memcpy.

    Linux arch/x86/kvm/emulate.c: opcode_table, twobyte_table (6.1, 6.19), x86.c: handle_emulation_failure.
    """
}

extension Instruction {
  /// The first Linux whose arch/x86/kvm/emulate.c was seen to have code for it, if older ones had none. Looked up in opcode_table and
  /// twobyte_table of 3.6 and 4.14: ENTER, LEAVE, MOVDQA and MOVNTPS are in both; MOVAPS, MOVAPD, MOVNTPD, MOVNTDQ, FXSAVE and FXRSTOR in
  /// 4.14 alone.
  fileprivate var knownToEmulatorSince: SoftwareVersion? {
    switch mnemonic {
    case "leave", "enter", "movdqa", "movntps": SoftwareVersion(3, 6)
    case "movaps", "movapd", "movntpd", "movntdq", "fxsave", "fxrstor": SoftwareVersion(4, 14)
    default: nil
    }
  }

  fileprivate var emulatorHistory: String {
    switch knownToEmulatorSince {
    case SoftwareVersion(3, 6)?: " (Linux 3.6 does)"
    case SoftwareVersion(4, 14)?: " (Linux 4.14 does, 3.6 does not)"
    default: ""
    }
  }

  /// Whether the emulator of an older kernel may have no code for it, as far as the host's is not known to be newer.
  fileprivate func isLearnedLate(by linux: SoftwareVersion?) -> Bool {
    guard let since = knownToEmulatorSince else { return false }
    return linux.map { $0 < since } ?? true
  }

  /// Whether it transfers control in a way that the emulator has for real mode only (Linux arch/x86/kvm/emulate.c: emulate_int, em_iret,
  /// 6.1; seen with 6.19): INT n, INT3, INTO and IRET.
  ///
  /// It has nothing for BOUND. So are far jumps and calls to what is neither code nor data, be it empty, and far returns to an outer level (__load_segment_descriptor,
  /// em_ret_far, 6.1).
  fileprivate func isTransferUnknownToEmulator(at instant: Instant) -> Bool {
    if mnemonic == "bound" { return true }
    guard mode != .real else { return false }
    if ["int", "int3", "into", "iret", "iretd", "iretq"].contains(mnemonic) { return true }
    guard isFarBranch, mode != .virtual8086 else { return false }
    let checks = InstructionChecks(of: self, at: instant)
    if mnemonic == "ret" {
      return checks.returnedCodeSelector.map { $0.requestedPrivilegeLevel > instant.currentPrivilegeLevel } ?? false
    }
    guard let selector = checks.farTarget?.selector, !selector.isNull,
      case .found(let descriptor) = instant.descriptor(selector)
    else { return false }
    return !descriptor.attributes.contains(.codeOrData)
  }

  /// Whether KVM's emulator has no code for the instruction (Linux arch/x86/kvm/emulate.c, 6.1; with VEX 6.19 knows some moves).
  fileprivate var isUnknownToEmulator: Bool {
    switch encoding {
    case .vex, .evex, .xop, .mvex, .threeDNow: return true
    case .legacy: break
    }
    if isaSet == "X87" || isaSet == "FCMOV" || isaSet == "SSE3X87" {
      // Of DF there is nothing, so not FNSTSW AX; 9B, FWAIT, has no entry either (opcode_table, 3.6 to 6.19; seen to fail with 6.18).
      return mnemonic != "fninit" && (memoryOperands.isEmpty || !["fnstcw", "fnstsw"].contains(mnemonic))
    }
    if Self.unknownToEmulator.contains(mnemonic) { return true }
    let usesVectors = operands.contains { operand in
      guard case .register(.other(let name)) = operand.value else { return false }
      return name.hasPrefix("xmm") || name.hasPrefix("mm")
    }
    return usesVectors && !Self.vectorMovesOfEmulator.contains(mnemonic)
  }

  private static let vectorMovesOfEmulator: Set<String> = [
    "movups", "movupd", "movaps", "movapd", "movntps", "movntpd", "movdqa", "movdqu", "movntdq",
  ]

  private static let unknownToEmulator: Set<String> = [
    "cmpxchg16b", "popcnt", "crc32", "adcx", "adox", "xsave", "xsaveopt", "xsavec", "xsaves", "xrstor", "xrstors",
    "xsave64",
    "xrstor64", "movdiri", "movdir64b", "enqcmd", "ldmxcsr", "stmxcsr", "clwb", "lfence", "mfence", "sfence",
    "rdfsbase", "rdgsbase",
    "wrfsbase", "wrgsbase", "stac", "clac", "swapgs", "xgetbv", "rdtscp", "monitor", "mwait", "lar", "lsl", "verr",
    "verw", "arpl",
    "bound", "daa", "aaa", "aas", "sysret", "rdrand", "rdseed",
    // 0F 1E: no entry in 4.14; decoded in 6.1 to 6.19, and then refused (x86_emulate_insn: twobyte_insn).
    "endbr32", "endbr64", "rdsspd", "rdsspq",
  ]
}
