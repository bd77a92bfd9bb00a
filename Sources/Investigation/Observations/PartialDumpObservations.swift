import QEMU
import X86

/// What a register dump proves that is cut, whose registers QEMU could not read, or that another program prints: too little for a `ProcessorState`.
struct PartialDumpObservations {
  private let dump: RegisterDump
  private let source: Source
  private(set) var evidence: [Evidence] = []

  init(_ dump: RegisterDump, _ source: Source) {
    (self.dump, self.source) = (dump, source)
    guard dump.printer == .qemu else {
      if dump[.rflags] == 0 {
        note("The flags are 0, which no processor has (bit 1 is always 1): these registers are not those of the fault")
        return
      }
      exception()
      pointer()
      if dump.exception?.vector == .generalProtection { registerPair() }
      instruction()
      paging()
      RegisterObservations.facts(of: looseState).forEach { note($0) }
      return
    }
    note(
      "Only a part of the dump is here: \(dump.missing.count > 6 ? "most registers are" : dump.missing.joined(separator: ", ") + (dump.missing.count == 1 ? " is" : " are")) missing"
    )
    unreadable()
    place()
    registerPair()
  }

  private mutating func note(_ text: String) { evidence.append(Evidence(text, source)) }

  // MARK: Other programs

  /// What is known of the registers, and zero for the others: for what looks at single values alone.
  private var looseState: ProcessorState {
    let none = Segment(
      selector: SegmentSelector(rawValue: 0), base: 0, limit: .max, attributes: SegmentAttributes(rawValue: 0))
    let table = DescriptorTableRegister(base: LinearAddress(0), limit: .max)
    var general = GeneralPurposeRegisters()
    general.set(dump)
    var code = none
    code.attributes = [.present, .codeOrData, .code, dump.width == .bits32 ? .big : .long]
    return ProcessorState(
      generalPurpose: general, rip: dump[.rip] ?? 0, rflags: RFLAGS(rawValue: dump[.rflags] ?? 2), es: none, cs: code,
      ss: none, ds: none, fs: none, gs: none, ldtr: none, tr: none, gdtr: dump[.gdtr] ?? table,
      idtr: dump[.idtr] ?? table, cr0: CR0(rawValue: dump[.cr0] ?? (hasPaging ? 0x8000_0001 : 1)), cr2: dump[.cr2] ?? 0,
      cr3: dump[.cr3] ?? 0,
      cr4: CR4(rawValue: dump[.cr4] ?? 0),
      efer: dump.width == .bits64 ? [.longModeEnable, .longModeActive] : [], currentPrivilegeLevel: level)
  }

  /// Without paging there is no page fault, and no 64-bit code.
  private var hasPaging: Bool { dump.exception?.vector == .pageFault || dump.width == .bits64 }

  /// Nil in virtual-8086 mode, whose selectors have no level; a program's page fault at level 0 came from there.
  private var level: Int? {
    let level = (dump.selectors[.cs] ?? dump[.cs]?.selector).map(\.requestedPrivilegeLevel)
    let isVirtual = RFLAGS(rawValue: dump[.rflags] ?? 2).contains(.virtual8086Mode)
    let isOfProgram = hasPaging && dump.exception.map { ($0.errorCode ?? 0) & 4 != 0 } == true
    return isVirtual || isOfProgram && level != 3 ? nil : level
  }

  private mutating func exception() {
    guard let exception = dump.exception else { return }
    let code = exception.errorCode.map { ", error code \($0.hexadecimal)" } ?? ""
    let place = dump[.rip].map { ", at \($0.hexadecimal)" } ?? ""
    let ring = level.map { ", CPL \($0)" } ?? ""
    let address = exception.vector == .pageFault ? dump[.cr2].map { " of address \($0.hexadecimal)" } ?? "" : ""
    note(
      "The text names \(exception.vector.name)\(address)\(code)\(place)\(ring), for these registers: whoever printed them handled it, so that it was no triple fault yet"
    )
    if exception.vector == .pageFault {
      if let code = exception.errorCode {
        note("Error code \(code.hexadecimal): \(PageFaultErrorCode(rawValue: code).sentence)")
      }
    } else if let code = exception.errorCode, code & 0xFFFC != 0,
      [.generalProtection, .segmentNotPresent, .stackFault, .invalidTSS].contains(exception.vector)
    {
      let error = SelectorErrorCode(rawValue: code)
      let gates = error.vectors(isLongModeActive: dump.width == .bits64).map(\.hexadecimal).joined(separator: " or ")
      note(
        error.namesGate
          ? "Error code \(code.hexadecimal) names the IDT's entry of vector \(gates): the gate \(exception.vector == .segmentNotPresent ? "is not present" : "is none, or may not be used")"
          : "Error code \(code.hexadecimal) names the selector \((code & 0xFFFC).hexadecimal), entry \((code & 0xFFFF) >> 3) of the \(code & 4 == 0 ? "GDT" : "LDT")"
      )
    }
  }

  private mutating func pointer() {
    let rip = dump[.rip]
    if let rip {
      if dump.exception == nil { note("RIP is \(rip.hexadecimal)\(level.map { ", CPL \($0)" } ?? "")") }
      if dump.width == .bits64, !Paging.isCanonical(LinearAddress(rip), unusedBits: 7) {
        note("RIP (\(rip.hexadecimal)) is not canonical: something jumped or returned to what is no address")
      }
      window(rip, of: "RIP")
    }
    if dump.exception?.vector == .doubleFault, let rsp = dump[.rsp], rsp != 0, rsp & 0xFFF == 0 {
      note(
        "The stack pointer (\(rsp.hexadecimal)) is at the beginning of a page: the next push goes into the page below, which a stack that is used up has not, and a frame that cannot be pushed is a double fault"
      )
    }
    noAddresses()
    guard dump.exception == nil || dump.exception?.vector == .pageFault || dump.exception?.vector == .doubleFault,
      let cr2 = dump[.cr2]
    else { return }
    if cr2 == rip, cr2 == 0, dump.exception?.vector == .pageFault {
      note("RIP and CR2 are both 0: a null pointer was called, or a return address of 0 taken")
    } else if cr2 == rip, cr2 != 0 {
      note("CR2 is RIP (\(cr2.hexadecimal)): if it is of this fault, fetching the instruction is what faulted")
    } else if let rsp = dump[.rsp], rsp &- cr2 <= 0x1000, rsp != cr2 {
      note(
        "CR2 (\(cr2.hexadecimal)) is \(rsp &- cr2) bytes below the stack pointer\(rsp == 0 ? ", which is 0" : ""): a push, or a frame, met a page that is not mapped or not writable"
      )
    } else if dump.exception?.vector == .pageFault, cr2 < 0x1000 {
      note("CR2 is \(cr2.hexadecimal): a null pointer, or one with a small offset, was used")
    }
  }

  /// What an access through a register that holds no address raises (SDM vol. 3, 6.15: interrupt 13).
  private mutating func noAddresses() {
    guard dump.exception?.vector == .generalProtection, dump.exception?.errorCode ?? 0 == 0, dump.width == .bits64
    else {
      return
    }
    // Without CR4 nothing tells how wide addresses are.
    let unusedBits: Int64 = dump[.cr4].map { CR4(rawValue: $0).contains(.linearAddress57) ? 7 : 16 } ?? 7
    let registers = looseState.generalPurpose.named.filter { register in
      !Paging.isCanonical(LinearAddress(register.value), unusedBits: unusedBits)
    }
    guard (1...3).contains(registers.count) else { return }
    let list = SegmentObservations.list(registers.map { "\($0.name) (\($0.value.hexadecimal))" })
    note(
      "\(list) hold\(registers.count == 1 ? "s" : "") no canonical address: an access through \(registers.count == 1 ? "it" : "one") raises #GP with error code 0"
    )
  }

  private mutating func instruction() {
    guard let code = dump.code, dump.width != nil else { return }
    let state = looseState
    let order = GeneralPurposeRegisters.names.compactMap(RegisterDump.Register.init(rawValue:))
    let isNarrow = dump.width == .bits32
    let registers = order.indices.filter { dump[order[$0]] != nil || isNarrow && $0 >= 8 }
    let control = dump[.cr0] != nil && dump[.cr4] != nil && (dump[.efer] != nil || isNarrow)
    let shown = InstructionObservations.Shown(control: control, registers: Set(registers))
    evidence += InstructionObservations(code, at: state, source, shown: shown).evidence
  }

  private mutating func paging() {
    guard let cr0 = dump[.cr0].map(CR0.init(rawValue:)) else { return }
    guard cr0.contains(.paging) else {
      return note(cr0.contains(.protectionEnable) ? "CR0.PG is clear: paging is off" : "CR0.PE is clear: real mode")
    }
    note(
      "CR0.PG is set: paging is on\(dump[.cr3].map { ", with the root table at physical \(($0 & 0x000F_FFFF_FFFF_F000).hexadecimal)" } ?? "")"
    )
  }

  // MARK: QEMU's

  /// Bit 1 of RFLAGS is 1 on every processor (SDM vol. 1, 3.4.3).
  private mutating func unreadable() {
    guard dump[.rflags] == 0 else { return }
    let areAllZero = dump.registers.filter { ![.a20].contains($0.key) }.allSatisfy { $0.value.value == 0 }
    note(
      "EFLAGS is 0, which no processor has (bit 1 is always 1)\(areAllZero ? ", and all other registers are 0" : ""): these are not the guest's registers. QEMU cannot read those "
        + "of a protected guest (TDX, SEV-ES), so nothing may be concluded from them")
  }

  private mutating func place() {
    guard dump[.rflags] != 0 || dump[.rip] != 0, let rip = dump[.rip] else { return }
    if dump[.smm] == 1 {
      note(
        rip == 0x8000
          ? "SMM is 1 and EIP is 8000: the first instruction of the handler of a system-management interrupt (SMI): the processor was entering SMM"
          : "SMM is 1: the processor is in system-management mode, at \(rip.hexadecimal)")
      return
    }
    guard let cs = dump[.cs], cs.attributes.contains(.present) else {
      if rip == 0xFFF0 {
        note("EIP is fff0, where a processor begins after its reset: if CS is f000 too, it has run nothing since")
      } else {
        window(rip, of: "RIP")
      }
      return
    }
    let kind = cs.attributes.contains(.long) ? "64-bit" : cs.attributes.contains(.big) ? "32-bit" : "16-bit"
    let address = cs.attributes.contains(.long) ? rip : (cs.base &+ rip) & 0xFFFF_FFFF
    note(
      "CS \(cs.selector.rawValue.hexadecimal) is a \(kind) code segment; RIP is \(rip.hexadecimal)"
        + (cs.base == 0 || cs.attributes.contains(.long) ? "" : ", linear address \(address.hexadecimal)")
        + (address < 0x10_0000 && !PCMemory.vgaWindow.contains(address)
          ? ", in the first megabyte: a boot loader's place, not that of most kernels. Few boot loaders have an IDT, and without one the first exception is a triple fault"
          : ""))
    window(address, of: "CS:IP")
  }

  /// Without CR0 it is not known whether the address is the physical one.
  private mutating func window(_ address: UInt64, of name: String) {
    guard PCMemory.vgaWindow.contains(address) else { return }
    let isPhysical = dump[.cr0].map { !CR0(rawValue: $0).contains(.paging) } == true
    note(
      "\(name) is \(address.hexadecimal), in the VGA window (A0000-BFFFF)\(isPhysical ? "" : " if low addresses are mapped to themselves, as loaders and firmware do"): nothing can be executed there. Execution that runs through zeroes from 0 on ends there"
    )
  }

  /// ECX, EDX and EAX as WRMSR takes them.
  private mutating func registerPair() {
    guard let rcx = dump[.rcx], let rax = dump[.rax], let rdx = dump[.rdx] else { return }
    let index = UInt32(truncatingIfNeeded: rcx)
    guard index > 0xFF, KnownMSR.words(index).contains("("), rcx <= 0xFFFF_FFFF else { return }
    let value = rdx << 32 | rax & 0xFFFF_FFFF
    note(
      "ECX is the number of \(KnownMSR.words(index)) and EDX:EAX \(value.hexadecimal): as an RDMSR of it leaves them and a WRMSR takes them"
    )
  }
}

extension GeneralPurposeRegisters {
  /// Takes what a dump has of them.
  fileprivate mutating func set(_ dump: RegisterDump) {
    func value(_ register: RegisterDump.Register) -> UInt64 { dump[register] ?? 0 }
    (rax, rbx, rcx, rdx) = (value(.rax), value(.rbx), value(.rcx), value(.rdx))
    (rsi, rdi, rbp, rsp) = (value(.rsi), value(.rdi), value(.rbp), value(.rsp))
    (r8, r9, r10, r11) = (value(.r8), value(.r9), value(.r10), value(.r11))
    (r12, r13, r14, r15) = (value(.r12), value(.r13), value(.r14), value(.r15))
  }
}
