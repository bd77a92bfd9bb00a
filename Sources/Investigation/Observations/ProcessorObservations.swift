import X86

/// What a processor's registers prove by themselves.
struct ProcessorObservations {
  private let state: ProcessorState
  private let source: Source
  private(set) var evidence: [Evidence] = []

  init(of processor: ObservedProcessor) {
    state = processor.state
    source = processor.source
    let reset = ResetObservations.facts(of: state)
    guard reset.isEmpty else {
      reset.forEach { note($0) }
      return
    }
    mode()
    addressLine20()
    paging()
    justProtected()
    nextStep()
    nullPointer()
    guard processor.knowsTables else {
      userAccess()
      if state.cr0.contains(.paging), state.cr2 == state.instructionAddress.rawValue, state.cr2 != 0 {
        note(
          "CR2, the address of the last page fault, is the address of the next instruction (\(state.cr2.hexadecimal))")
      }
      RegisterObservations.facts(of: state).forEach { note($0) }
      return
    }
    interruptTable()
    segments()
    halted()
    userAccess()
    let facts =
      SegmentObservations.facts(of: state) + AddressObservations.facts(of: state)
      + RegisterObservations.facts(of: state)
      + SoftwareObservations.facts(of: state)
    facts.forEach { note($0) }
  }

  private mutating func note(_ text: String) { evidence.append(Evidence(text, source)) }

  /// The vectors of real mode are no code.
  private mutating func nullPointer() {
    guard state.mode != .real, state.mode != .virtual8086, state.instructionAddress.rawValue < 0x400 else { return }
    note(
      "RIP is \(state.rip.hexadecimal), among real mode's interrupt vectors if memory is mapped to itself: no code, but where a call or jump through a null pointer leads"
    )
  }

  private mutating func mode() {
    let address = state.instructionAddress.rawValue.hexadecimal
    switch state.mode {
    case .real: note("The processor is in real mode, at linear address \(address)")
    case .virtual8086: note("The processor is in virtual-8086 mode, at linear address \(address)")
    case .protected(let bits): note("The processor is in \(bits)-bit protected mode, at linear address \(address)")
    case .compatibility(let bits):
      note(
        "The processor is in compatibility mode: long mode is active (EFER.LMA), and CS is a \(bits)-bit code segment; "
          + "RIP is \(address)")
    case .long64: note("The processor is in 64-bit mode; RIP is \(address)")
    }
  }

  private mutating func addressLine20() {
    guard state.isAddressLine20Masked == true else { return }
    note(
      "Address line 20 is masked (A20 is 0): TCG clears bit 20 of each physical address, so that the odd MiBs are the even ones below them; KVM does not"
    )
  }

  private mutating func paging() {
    if state.efer?.contains(.longModeActive) == true, !state.cr4.contains(.physicalAddressExtension),
      state.cr0.contains(.paging)
    {
      note(
        "EFER.LMA is set and CR4.PAE is clear, which no processor allows in long mode. TCG does, and takes the tables at CR3 for those of 32-bit paging"
      )
    }
    guard let mode = state.pagingMode else {
      note("Paging is on, in PAE or 4-level form: without EFER the registers do not tell which")
      return
    }
    guard mode != .none else {
      let isOnTheWay = state.efer?.contains(.longModeEnable) == true
      note(
        isOnTheWay
          ? "Paging is off; EFER.LME is set: the code is on its way into long mode, which begins when CR0.PG is set"
          : state.mode != .real && state.cr3 != 0
            ? "Paging is off, although CR3 is \(state.cr3.hexadecimal): tables were given, and CR0.PG has not been set, or was cleared"
            : "Paging is off")
      return
    }
    let root = state.cr3 & 0x000F_FFFF_FFFF_F000
    let table = mode == .fiveLevel ? "PML5 table" : mode == .fourLevel ? "PML4 table" : "root table"
    let mark =
      root >> 51 != 0
      ? "; bit 51 of it is the mark of an encrypted guest (SEV's C-bit), if it is no part of the address" : ""
    note("\(mode.name) is on; CR3 points to the \(table) at physical \(root.hexadecimal)\(mark)")
    if mode != .twoLevel, let efer = state.efer, !efer.contains(.executeDisableEnable) {
      note("EFER.NXE is clear: bit 63 (XD) of a page-table entry is reserved")
    }
    justEnabled()
  }

  /// The usual way to turn on paging leaves its traces in the registers: `mov %eax, %cr0`, and before it EFER's number in
  /// ECX for WRMSR. EAX alone may as well have been read from CR0.
  private mutating func justEnabled() {
    let eax = state.generalPurpose.rax & 0xFFFF_FFFF
    let ecx = state.generalPurpose.rcx & 0xFFFF_FFFF
    guard eax == state.cr0.rawValue, ecx == 0xC000_0080, state.cr0.contains(.paging) else { return }
    note("EAX still holds the value of CR0 and ECX the number of EFER: paging was turned on a few instructions ago")
  }

  private mutating func nextStep() {
    // At CPL 3 it is a 32-bit program on a 64-bit kernel, which is where it is to be.
    guard case .compatibility = state.mode, state.currentPrivilegeLevel == 0 else { return }
    note("The next step to 64-bit code is a far jump to a code segment whose L bit is set; it has not been made")
  }

  private mutating func interruptTable() {
    guard state.mode != .real else { return }
    let table = InterruptDescriptorTable(register: state.idtr, isLongModeActive: state.isLongModeActive)
    let place = "base \(state.idtr.base.rawValue.hexadecimal), limit \(state.idtr.limit.hexadecimal)"
    if state.idtr.limit == 0 {
      note("The IDT is empty (\(place)): no exception can be delivered, so the first one becomes a triple fault")
    } else if state.idtr.base.rawValue == 0, state.idtr.limit == 0x3FF {
      note(
        "The IDT has the place and size of real mode's vectors (\(place)): if nobody put gates there, no exception can be delivered"
      )
    } else if state.isLongModeActive, state.idtr.base.rawValue == 0 {
      note(
        "The IDT is at linear address 0 (limit \(state.idtr.limit.hexadecimal)): no operating system puts it there, a program without one may"
      )
    } else if !table.contains(.pageFault) {
      note("The IDT (\(place)) ends before the gate of #PF")
    }
  }

  /// `mov %eax, %cr0` turns protected mode on, and CS is real mode's until a far jump loads it (SDM vol. 3, 10.9.1).
  private mutating func justProtected() {
    let cs = state.cs
    guard state.mode == .protected(bits: 16), !state.cr0.contains(.paging),
      cs.base == UInt64(cs.selector.rawValue) << 4, state.generalPurpose.rax & 0xFFFF_FFFF == state.cr0.rawValue
    else { return }
    note(
      "EAX still holds the value of CR0, and CS is real mode's (\(cs.selector.rawValue.hexadecimal), base \(cs.base.hexadecimal)): protected mode was turned on a few instructions ago, and the far jump that loads CS has not been made, or is what fails"
    )
  }

  /// A selector may lie outside the GDT when the segment was loaded from another one, or in real mode.
  private mutating func segments() {
    guard state.mode != .real, state.mode != .virtual8086 else { return }
    if state.gdtr.limit < 15 {
      note(
        "The GDT (base \(state.gdtr.base.rawValue.hexadecimal), limit \(state.gdtr.limit.hexadecimal)) has no entry behind the null one: no selector of it can be loaded, not by a far jump either"
      )
    }
    let outside = [("CS", state.cs), ("SS", state.ss), ("DS", state.ds), ("ES", state.es)].filter {
      !$0.1.selector.isNull && !$0.1.selector.isLocal && $0.1.base != UInt64($0.1.selector.rawValue) << 4
        && $0.1.selector.index * 8 + 7 > Int(state.gdtr.limit)
    }
    guard !outside.isEmpty else { return }
    let names = outside.map { "\($0.0) \($0.1.selector.rawValue.hexadecimal)" }.joined(separator: ", ")
    note(
      "\(names) lie\(outside.count == 1 ? "s" : "") outside the GDT (limit \(state.gdtr.limit.hexadecimal)): loaded "
        + "before this GDT was in force, and not to be loaded again")
  }

  /// STAC opens user pages to the supervisor (SDM vol. 3, 4.6.1).
  private mutating func userAccess() {
    guard state.rflags.contains(.alignmentCheck), state.currentPrivilegeLevel == 0,
      state.cr4.contains(.supervisorAccessPrevention)
    else { return }
    note(
      "EFLAGS.AC is set at CPL 0 with CR4.SMAP: the kernel has opened user pages to itself (STAC), and accesses one on purpose"
    )
  }

  private mutating func halted() {
    guard state.isHalted == true, !state.rflags.contains(.interruptEnable) else { return }
    note("The processor is halted with interrupts off: only an NMI, SMI or reset can wake it")
  }
}
