/// What can keep an interrupt or exception from its handler. As a cause of death it counts where the event itself is no mistake: a
/// device's interrupt, INT n.
enum HandlerObstacle: String, CaseIterable {
  case idtLimit = "interrupt.idt-limit"
  case idtNotMapped = "interrupt.idt-not-mapped"
  case badGate = "interrupt.bad-gate"
  case noHandler = "interrupt.no-handler"
  case gateType = "interrupt.gate-type"
  case gateNotPresent = "interrupt.gate-not-present"
  case gatePrivilege = "interrupt.gate-privilege"
  case gateSelector = "interrupt.gate-selector"
  case handlerNotMapped = "interrupt.handler-not-mapped"
  case tssMissing = "interrupt.tss-missing"
  case tssNotMapped = "interrupt.tss-not-mapped"
  case interruptStack = "interrupt.ist-stack"
  case kernelStack = "interrupt.rsp0-stack"
  case taskSwitch = "interrupt.task-gate"
  case stackNotWritable = "stack.not-writable"

  var title: String {
    switch self {
    case .idtLimit: "The IDT ends before the interrupt's gate"
    case .idtNotMapped: "The IDT is not mapped"
    case .badGate: "The IDT has no usable gate for the interrupt"
    case .noHandler: "The interrupt has no handler"
    case .gateType: "The IDT's entry is no gate"
    case .gateNotPresent: "The interrupt's gate is not present"
    case .gatePrivilege: "The gate may not be used at this CPL"
    case .gateSelector: "The gate's code segment cannot be used"
    case .handlerNotMapped: "The handler is not mapped"
    case .tssMissing: "There is no TSS to take a stack from"
    case .tssNotMapped: "The TSS is not mapped"
    case .interruptStack: "The interrupt's own stack cannot be written"
    case .kernelStack: "The kernel's stack of the TSS cannot be written"
    case .taskSwitch: "The task gate leads to no task"
    case .stackNotWritable: "The stack cannot take the interrupt's frame"
    }
  }

  /// The more general causes of which it is one (``ManualPage/refines``).
  var refines: [String] {
    switch self {
    case .noHandler, .gateType, .gatePrivilege: [HandlerObstacle.badGate.rawValue]
    default: []
    }
  }

  /// The manual page.
  var manual: String {
    switch self {
    case .idtLimit:
      """
      An interrupt or INT n has a vector whose gate lies beyond IDTR's limit: #GP, then #DF, and if that has no gate either, a triple
      fault.

      ## Why

      - No IDT was loaded: after a reset, or as a boot loader leaves it, the limit is 0 or real mode's 3FFH.
      - LIDT got a limit of entries instead of bytes, or with 8 bytes a gate in long mode, where a gate has 16.
      - LIDT was executed in 32-bit code with a 64-bit operand, or the reverse.

      ## The cure

      LIDT with a limit of 16 (in protected mode 8) times the number of gates, less 1, before STI, INT n, or anything that can fault.

      SDM vol. 3, 6.10 and 6.14.1.
      """
    case .idtNotMapped:
      """
      The processor reads the gate through the page tables in force, and its page is not mapped there.

      ## Why

      CR3 was loaded with tables that lack the kernel's data: a new address space, a program's tables, the loader's tables left behind. Or
      IDTR holds a physical address, and the identity map is gone.

      ## The cure

      Map the IDT, GDT, TSS and handlers in every address space.

      SDM vol. 3, 6.14.
      """
    case .badGate:
      """
      An interrupt or INT n met an entry of the IDT that is no gate it can use: #GP, with the vector in the error code. The entry is within the
      limit, and a log of QEMU alone does not show what it holds.

      ## How to recognise it

      In the log of `-d int`, `check_exception old: 0xffffffff new 0xd` right behind the interrupt, and `v=0d` with bit 1 of the error code set and
      the vector in the bits above it; IP, SP and all registers are those of the interrupt. A gate that is only not present gives #NP, `v=0b`.

      ## Why

      - The entry is empty: nobody gave the vector a handler (interrupt.no-handler).
      - It is of a type that is no gate, or the IDT is filled with gates of 8 bytes in long mode (interrupt.gate-type).
      - INT n at CPL 3 met a gate with a DPL below 3 (interrupt.gate-privilege).

      ## The cure

      Look at the entry: IDTR's base plus 16 (in protected mode 8) times the vector; `inquest run` does so.

      SDM vol. 3, 6.11 to 6.13.
      """
    case .noHandler:
      """
      The IDT's entry for the vector is empty: #GP with the vector in the error code. Nobody gave the interrupt a handler.

      ## Why

      Interrupts were turned on before the handlers were set, a device that was not expected raised its line, or INT n names a vector of
      another system.

      ## The cure

      A gate for each vector that can come, and the lines of all other devices masked in PIC or APIC.

      SDM vol. 3, 6.11 and 6.12.
      """
    case .gateType:
      """
      The IDT's entry is of a type that is no gate: in long mode only EH (interrupt) and FH (trap), in protected mode also 5, 6 and 7.

      ## Why

      The entry was never filled; or 8-byte gates of protected mode are used in long mode, where each takes 16 bytes, so that the processor
      reads the middle of two; or the type byte was put elsewhere.

      SDM vol. 3, 6.11 and 6.14.1.
      """
    case .gateNotPresent:
      """
      The gate's P bit (47) is clear: #NP. The vector has no handler: an interrupt that was not expected, a device that was not masked, the
      vector of an exception that was forgotten.

      ## The cure

      A gate for each vector that can come: all 32 exceptions, and each line of PIC and APIC that is not masked, spurious ones included.

      SDM vol. 3, 6.11.
      """
    case .gatePrivilege:
      """
      INT n is executed at a CPL above the gate's DPL: #GP with the vector in the error code. Exceptions and device interrupts do not look at
      DPL.

      ## The cure

      DPL 3 in the gates that programs may use, and in no others.

      SDM vol. 3, 6.12.1.1.
      """
    case .gateSelector:
      """
      The gate names a code segment that is null, beyond the GDT, no code, not present, or in long mode not of 64 bits.

      ## Why

      The loader's GDT had its code segment elsewhere than the kernel's own; the gates were filled before or after LGDT with the other's selector.
      Or the GDT in force is a temporary one whose memory was used for something else.

      ## The cure

      One GDT that lives as long as the kernel, with its code selector in all gates.

      SDM vol. 3, 6.12.1, 6.14.
      """
    case .handlerNotMapped:
      """
      The gate leads to an address that cannot be fetched. The interrupt is delivered, and its first instruction faults; so does #PF's handler,
      until the stack is used up.

      ## The cure

      Map the handlers executable in every address space; check how the three parts of the offset are put into the gate.

      SDM vol. 3, 6.14.1.
      """
    case .tssMissing:
      """
      A gate asks for an IST stack, or the interrupt comes at CPL 3, and TR holds no TSS with that stack: #TS.

      ## The cure

      A TSS of at least 104 bytes, its 16-byte descriptor in the GDT, LTR; RSP0 before the first program, IST entries before the gates that
      name them.

      SDM vol. 3, 8.7.
      """
    case .tssNotMapped:
      """
      The processor takes a stack pointer from the TSS, and its page is not mapped in the tables in force.

      ## The cure

      Map the TSS in every address space; its base in TR is a linear address.

      SDM vol. 3, 8.7.
      """
    case .interruptStack:
      """
      The gate names an IST entry whose stack cannot be written: it is 0, not canonical, or not mapped.

      ## The cure

      The *top* of a mapped, writable stack in the TSS: entry n lies at offset 24H + 8(n - 1).

      SDM vol. 3, 6.14.5 and 8.7.
      """
    case .kernelStack:
      """
      The interrupt comes at CPL 3, and RSP0 of the TSS is no stack: it is 0, or not mapped in the program's address space.

      ## The cure

      The top of the kernel's stack for this program in RSP0, at offset 4 of the TSS, before the program runs.

      SDM vol. 3, 6.14.2.
      """
    case .taskSwitch:
      """
      The vector has a task gate, and the switch to its task fails: #TS, #NP or #GP, with the selector that is wrong in the error code. Kernels
      of 32 bits give #DF a task, so that it has a stack whatever happened; where that task was never tried, its mistakes show in the worst
      moment.

      ## Why

      - The descriptor in the GDT is no available TSS (type 9): it was never written, or it is the one in TR, which is busy (type BH).
      - Its limit is less than 67H.
      - The TSS is not filled: CR3, EIP, EFLAGS, ESP, and CS, SS, DS and ES, all of which are loaded from it. A CR3 of 0 is no error by itself:
        then the task's first instruction is not mapped.
      - An interrupt that comes again while its task runs: the task is busy.

      ## The cure

      A TSS of 104 bytes for each task, with its CR3 and all segments; and a test of the gate by INT 8.

      SDM vol. 3, 6.12.2, 8.2 and 8.3. Long mode has no task gates.
      """
    case .stackNotWritable:
      """
      The interrupt's frame goes on the stack at hand, and that cannot be written: RSP is wrong, or at the end of its page.

      ## The cure

      A valid RSP whenever an interrupt can come; IST stacks for NMI, #DF and #MC, which can come at any moment.

      SDM vol. 3, 6.14.2.
      """
    }
  }
}
