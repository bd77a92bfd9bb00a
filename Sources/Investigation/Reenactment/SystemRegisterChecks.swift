import GuestImage
import X86

extension InstructionChecks {
  /// Writes of control registers and MSRs that raise #GP, and reads of MSRs that are not there.
  ///
  /// TCG 7.2 checks little of that: it drops reserved bits of EFER, makes a write of CR3 or CR4 with reserved bits again and
  /// again, and answers 0 for an MSR that it does not know (measured).
  mutating func checkSystemRegisters() {
    switch instruction.mnemonic {
    case "mov": checkControlRegisterMove()
    case "lmsw": checkCR0(state.cr0.rawValue & ~0xE | (lmswValue ?? 0) & 0xF)
    case "wrmsr": checkMSRWrite()
    case "rdmsr": checkMSR(write: nil)
    case "xsetbv": checkXCR0()
    default: break
    }
  }

  /// LMSW sets PE, MP, EM and TS, and cannot clear PE (SDM vol. 2, LMSW).
  private var lmswValue: UInt64? {
    instruction.operands.first(where: \.isExplicit).flatMap(value).map { $0 | state.cr0.rawValue & 1 }
  }

  private mutating func checkControlRegisterMove() {
    let explicit = instruction.operands.filter(\.isExplicit)
    guard explicit.count == 2, let value = value(of: explicit[1]) else { return }
    if case .register(.debug(let number)) = explicit[0].value { return checkDebugRegister(number, value) }
    guard case .register(.control(let number)) = explicit[0].value else { return }
    switch number {
    case 0: checkCR0(value)
    case 3: checkCR3(value)
    case 4: checkCR4(value)
    case 8: refuse("CR8", value, value & ~0xF, .reserved)
    default: break
    }
  }

  /// DR6 and DR7 have 32 bits, whatever the operand's size (SDM vol. 2, MOV to debug registers; TCG: target/i386/tcg/sysemu/bpt_helper.c:
  /// helper_set_dr, 7.2).
  private mutating func checkDebugRegister(_ number: Int, _ value: UInt64) {
    guard number >= 6, state.mode == .long64 else { return }
    refuse("DR\(number)", value, value & ~0xFFFF_FFFF, .reserved)
  }

  private mutating func refuse(
    _ register: String, _ value: UInt64, _ bits: UInt64, _ rule: RefusedRegisterWrite.Rule, if condition: String? = nil
  ) {
    guard bits != 0, exceptions.last?.isCertain != true else { return }
    let write = RefusedRegisterWrite(register: register, value: value, bits: bits, rule: rule)
    raise(.generalProtection(.registerWrite(write), if: condition))
  }

  /// SDM vol. 2, MOV to control registers; vol. 3, 9.8.5; Linux x86.c: kvm_is_valid_cr0, kvm_set_cr0, 6.19.
  private mutating func checkCR0(_ value: UInt64) {
    guard instant.executor != .tcg else { return }
    let new = CR0(rawValue: value)
    refuse("CR0", value, value & ~0xFFFF_FFFF, .reserved)
    if new.contains(.paging), !new.contains(.protectionEnable) {
      refuse("CR0", value, CR0.paging.rawValue, .combination("paging (PG) needs protected mode (PE)"))
    }
    if new.contains(.notWriteThrough), !new.contains(.cacheDisable) {
      refuse("CR0", value, CR0.notWriteThrough.rawValue, .combination("NW without CD means nothing"))
    }
    if new.contains(.paging), !state.cr0.contains(.paging), state.efer?.contains(.longModeEnable) == true {
      checkLongModeEntry(value)
    } else if new.contains(.paging), !state.cr0.contains(.paging), instant.isUnderPVM {
      refuse(
        "CR0", value, CR0.paging.rawValue,
        .combination("kvm_pvm has no paging but long mode's (EFER.LME is clear): every other KVM, and a processor, has")
      )
    }
    if !new.contains(.paging), state.cr0.contains(.paging) { checkPagingOff(value) }
  }

  /// SDM vol. 3, 9.8.5 "Initializing IA-32e Mode".
  private mutating func checkLongModeEntry(_ value: UInt64) {
    if !state.cr4.contains(.physicalAddressExtension) {
      refuse(
        "CR0", value, CR0.paging.rawValue, .combination("EFER.LME is set, and long mode needs CR4.PAE, which is clear"))
    }
    if state.cs.attributes.contains(.long) {
      refuse(
        "CR0", value, CR0.paging.rawValue, .combination("EFER.LME is set, and CS.L is set before long mode is active"))
    }
  }

  private mutating func checkPagingOff(_ value: UInt64) {
    if state.mode == .long64 {
      refuse("CR0", value, CR0.paging.rawValue, .combination("paging cannot be turned off in 64-bit mode"))
    }
    if state.cr4.contains(.processContextIdentifiers) {
      refuse("CR0", value, CR0.paging.rawValue, .combination("paging cannot be turned off while CR4.PCIDE is set"))
    }
  }

  /// Address bits at or above MAXPHYADDR; bit 63 only asks not to flush, with PCIDE (SDM vol. 3, 2.5 and 4.10.4.1).
  private mutating func checkCR3(_ value: UInt64) {
    checkPDPTEs(value)
    guard instant.executor != .tcg, state.mode == .long64, let width = instant.maximumPhysicalAddressBits, width < 63
    else { return }
    let noFlush: UInt64 = state.cr4.contains(.processContextIdentifiers) ? 1 << 63 : 0
    // LAM's bits 61 and 62 are there with a feature that few have.
    refuse("CR3", value, value & ~noFlush & ~(3 << 61) & ~(1 << UInt64(width) - 1), .reserved)
  }

  /// PAE paging loads the four PDPTEs with CR3, and refuses those with reserved bits (SDM vol. 3, 4.4.1).
  private mutating func checkPDPTEs(_ value: UInt64) {
    guard var paging = instant.paging, paging.mode == .pae else { return }
    paging.cr3 = value
    do throws(PDPTELoadFault) {
      _ = try paging.loadPDPTEs(from: instant.memory)
    } catch {
      guard error.isDefinite, instant.executor != .tcg else { return }
      refuse(
        "CR3", value, .max,
        .combination("PDPTE \(error.index) of the table there has reserved bits set and cannot be loaded"))
    }
  }

  private mutating func checkCR4(_ value: UInt64) {
    let new = CR4(rawValue: value)
    let changed = CR4(rawValue: value ^ state.cr4.rawValue)
    // TCG makes this check in 64-bit code (target/i386/tcg/sysemu/misc_helper.c: helper_write_crN, 7.2).
    let hasCheck = instant.executor != .tcg || instant.has(.la57) != false && state.mode == .long64
    if state.isLongModeActive, changed.contains(.linearAddress57), hasCheck {
      let isCertain = instant.executor != .tcg || instant.has(.la57) == true
      refuse(
        "CR4", value, CR4.linearAddress57.rawValue,
        .combination("LA57 cannot change while long mode is active"), if: isCertain ? nil : "the processor has LA57")
    }
    guard instant.executor != .tcg else { return }
    checkBits(of: "CR4", value, RegisterBits.cr4)
    if state.isLongModeActive, !new.contains(.physicalAddressExtension) {
      refuse(
        "CR4", value, CR4.physicalAddressExtension.rawValue,
        .combination("PAE cannot be cleared while long mode is active"))
    }
    if changed.contains(.processContextIdentifiers), new.contains(.processContextIdentifiers),
      !state.isLongModeActive || state.cr3 & 0xFFF != 0
    {
      refuse(
        "CR4", value, CR4.processContextIdentifiers.rawValue,
        .combination("PCIDE can be set only in long mode, with bits 11 to 0 of CR3 clear"))
    }
  }

  /// Bits that no processor, or not this one, has.
  private mutating func checkBits(of register: String, _ value: UInt64, _ bits: RegisterBits) {
    guard let (refused, rule) = bits.refusal(of: value, has: instant.has) else { return }
    refuse(register, value, refused, rule)
  }

  // MARK: MSRs

  private var msrIndex: UInt32 { UInt32(truncatingIfNeeded: state.generalPurpose.rcx) }

  /// EDX:EAX.
  private var wideValue: UInt64 {
    state.generalPurpose.rdx << 32 | state.generalPurpose.rax & 0xFFFF_FFFF
  }

  private mutating func checkMSRWrite() {
    guard msrIndex == 0xC000_0080 else { return checkMSR(write: wideValue) }
    guard instant.executor != .tcg else { return }
    checkBits(of: "EFER", wideValue, RegisterBits.efer)
    let changed = EFER(rawValue: wideValue ^ (state.efer?.rawValue ?? wideValue))
    if state.cr0.contains(.paging), changed.contains(.longModeEnable) {
      refuse(
        "EFER", wideValue, EFER.longModeEnable.rawValue, .combination("LME cannot change while paging is on"))
    }
  }

  /// Which MSRs there are, nothing at hand tells. What KVM ignores it does not know: what it knows still has to take the value (Linux
  /// arch/x86/kvm/x86.c: kvm_set_msr_ignored_check, 6.1).
  private mutating func checkMSR(write: UInt64?) {
    guard instant.executor != .tcg else { return }
    if let write { checkMSRValue(write) }
    guard exceptions.last?.isCertain != true, write != nil || !instant.ignoresUnknownMSRs else { return }
    let refusals = [
      instant.ignoresUnknownMSRs ? nil : "the processor has no such MSR",
      write == nil ? nil : "it cannot take the value",
    ]
    raise(
      .generalProtection(
        .unknownMSR(index: msrIndex, write: write), if: refusals.compactMap(\.self).joined(separator: ", or ")))
  }

  /// Values that no processor takes: addresses that are not canonical (SDM vol. 2, WRMSR), memory types of the PAT that there are none of (SDM vol. 3,
  /// 11.12.2), an APIC where no address is (SDM vol. 3, 10.4.4); Linux x86.c: __kvm_set_msr, kvm_pat_valid, lapic.c: kvm_set_apic_base, 6.1.
  private mutating func checkMSRValue(_ value: UInt64) {
    let name = KnownMSR.words(msrIndex)
    switch msrIndex {
    case 0xC000_0082, 0xC000_0083, 0xC000_0100...0xC000_0102:
      guard let paging = instant.paging, state.isLongModeActive, !paging.isCanonical(LinearAddress(value)) else {
        return
      }
      refuse(name, value, .max, .combination("the address is not canonical"))
    case 0x277:
      guard let entry = (0..<8).first(where: { ![0, 1, 4, 5, 6, 7].contains(value >> UInt64(8 * $0) & 0xFF) }) else {
        return
      }
      refuse(
        name, value, 0xFF << UInt64(8 * entry),
        .combination("memory type \(value >> UInt64(8 * entry) & 0xFF) in entry \(entry) is none"))
    case 0x1B:
      guard let width = instant.maximumPhysicalAddressBits, width < 63 else { return }
      refuse(name, value, value & (0x2FF | ~(1 << UInt64(width) - 1)), .reserved)
    default: return
    }
  }

  /// XSETBV (SDM vol. 2, XSETBV; vol. 1, 13.3; TCG: helper_xsetbv, 7.2).
  private mutating func checkXCR0() {
    let value = wideValue
    guard msrIndex == 0 else {
      return refuse("XCR\(msrIndex)", value, .max, .combination("there is XCR0 only"))
    }
    if value & 1 == 0 { refuse("XCR0", value, 1, .combination("x87 state (bit 0) cannot be off")) }
    checkBits(of: "XCR0", value, RegisterBits.xcr0)
    if value & 6 == 4 { refuse("XCR0", value, 4, .combination("AVX state (bit 2) needs SSE state (bit 1)")) }
    let avx512 = value & 0xE0
    if avx512 != 0, avx512 != 0xE0 || value & 6 != 6 {
      refuse(
        "XCR0", value, avx512,
        .combination("the three parts of AVX-512 state (bits 5 to 7) come together, with those of SSE and AVX"))
    }
  }
}

/// The bits of a system register that software may set.
struct RegisterBits {
  /// All that some processor has.
  var defined: UInt64
  /// Those that not every one has, with the names of the features that announce them: one is enough.
  var needing: [(bit: Int, features: [String])]

  /// The first bits of `value` that a processor refuses, and why; nil where it is not known to refuse any.
  func refusal(of value: UInt64, has: (ProcessorFeature) -> Bool?) -> (bits: UInt64, rule: RefusedRegisterWrite.Rule)? {
    if value & ~defined != 0 { return (value & ~defined, .reserved) }
    for (bit, features) in needing where value & 1 << UInt64(bit) != 0 {
      let known = features.flatMap { ProcessorFeature.named($0) }
      if !known.isEmpty, known.allSatisfy({ has($0) == false }) { return (1 << UInt64(bit), .missingFeature(known)) }
    }
    return nil
  }

  /// SDM vol. 3, 2.5; Linux arch/x86/kvm/x86.h: __cr4_reserved_bits, 6.19.
  static let cr4 = RegisterBits(
    defined: 0x7F_7FFF | 0x0180_0000 | 1 << 25 | 1 << 27 | 1 << 28 | 1 << 32,
    needing: [
      (11, ["umip"]), (12, ["la57"]), (13, ["vmx"]), (14, ["smx"]), (16, ["fsgsbase"]), (17, ["pcid"]), (18, ["xsave"]),
      (20, ["smep"]), (21, ["smap"]), (22, ["pku"]), (23, ["shstk", "ibt"]), (24, ["pks"]),
    ])

  /// APM vol. 2, 3.1.7; SDM vol. 3, 2.2.1; Linux arch/x86/kvm/x86.c: __kvm_valid_efer, 6.19.
  static let efer = RegisterBits(
    defined: 1 | 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 17 | 1 << 18 | 1 << 20 | 1
      << 21,
    needing: [(8, ["lm"]), (11, ["nx"]), (12, ["svm"]), (14, ["fxsr-opt"])])

  /// SDM vol. 1, 13.1 and 13.3; APM vol. 2, 11.5.2.
  static let xcr0 = RegisterBits(
    defined: 0x2FF | 3 << 17 | 1 << 62,
    needing: [
      (2, ["avx"]), (3, ["mpx"]), (4, ["mpx"]), (5, ["avx512f"]), (6, ["avx512f"]), (7, ["avx512f"]), (9, ["pku"]),
      (17, ["amx-tile"]), (18, ["amx-tile"]), (62, ["lwp"]),
    ])
}
