public import X86

/// The registers of one processor as QEMU prints them (`target/i386/cpu-dump.c: x86_cpu_dump_state`), or another program.
///
/// The same form comes after KVM errors, from `info registers`, and in `-d int` and `-d cpu_reset` logs. A dump may be
/// cut short; then the registers that are there are kept and `missing` names the others.
public struct RegisterDump: Hashable, Sendable {
  /// The processor's number, where a header gave it.
  public var cpu: Int?
  /// Whether the dump names RAX or EAX.
  public var width: Width?
  /// The numbers that were shown, by register.
  public var registers: [Register: Shown<UInt64>] = [:]
  /// The segment registers that were shown, LDTR and TR among them.
  public var segments: [SegmentRegister: Shown<Segment>] = [:]
  /// GDTR and IDTR, where shown.
  public var descriptorTables: [DescriptorTable: Shown<DescriptorTableRegister>] = [:]
  /// The name of TCG's lazy flags operation (`CCO=`), which only `-d int` and `-d cpu_reset` show.
  public var conditionCodeOperation: String?
  /// The instruction bytes around RIP, which only KVM's errors show.
  public var code: CodeBytes?
  /// Who printed it.
  public var printer: Printer = .qemu
  /// Selectors of segment registers whose descriptors were not shown, or were.
  public var selectors: [SegmentRegister: SegmentSelector] = [:]
  /// The exception that the program says it prints the registers for.
  public var exception: Exception?
  /// The first and the last line of the dump, counted from 1.
  public var lines: ClosedRange<Int>
  /// What is wrong with the dump.
  public var problems: [Problem] = []

  public init(lines: ClosedRange<Int>) { self.lines = lines }

  /// Who printed a dump, as far as it matters for what may be concluded from it.
  public enum Printer: Hashable, Sendable {
    case qemu
    /// Bochs, of the processor that it emulates: without GDTR, IDTR, TR and LDTR.
    case bochs
    /// A kernel in Rust: what the processor pushed for a handler (x86_64 crate, InterruptStackFrame).
    case stackFrame
    /// Another monitor, a debugger, firmware or the guest's own kernel.
    case another
  }

  /// An exception as another program than QEMU names it.
  public struct Exception: Hashable, Sendable {
    public var vector: ExceptionVector
    public var errorCode: UInt32?

    public init(vector: ExceptionVector, errorCode: UInt32? = nil) {
      self.vector = vector
      self.errorCode = errorCode
    }
  }

  /// A value and the line it stands on.
  public struct Shown<Value: Hashable & Sendable>: Hashable, Sendable {
    public var value: Value
    /// Counted from 1.
    public var line: Int

    public init(_ value: Value, line: Int) {
      self.value = value
      self.line = line
    }
  }

  /// How wide QEMU printed the general-purpose registers.
  public enum Width: Hashable, Sendable {
    /// RAX to R15 and RIP with 16 digits: CS is a 64-bit code segment.
    case bits64
    /// EAX to EDI and EIP with 8 digits, R8 to R15 not at all: any other code segment, compatibility mode included.
    case bits32
  }

  /// A register that is one number. EAX counts as RAX.
  public enum Register: String, CaseIterable, Hashable, Sendable {
    case rax = "RAX"
    case rbx = "RBX"
    case rcx = "RCX"
    case rdx = "RDX"
    case rsi = "RSI"
    case rdi = "RDI"
    case rbp = "RBP"
    case rsp = "RSP"
    case r8 = "R8"
    case r9 = "R9"
    case r10 = "R10"
    case r11 = "R11"
    case r12 = "R12"
    case r13 = "R13"
    case r14 = "R14"
    case r15 = "R15"
    case rip = "RIP"
    case rflags = "RFL"
    /// The current privilege level.
    case cpl = "CPL"
    /// 1 in the shadow of STI or MOV SS.
    case interruptShadow = "II"
    /// 1 where address line 20 is not masked.
    case a20 = "A20"
    /// 1 in system-management mode.
    case smm = "SMM"
    /// 1 where the processor waits in HLT.
    case halted = "HLT"
    case cr0 = "CR0"
    case cr2 = "CR2"
    case cr3 = "CR3"
    case cr4 = "CR4"
    case dr0 = "DR0"
    case dr1 = "DR1"
    case dr2 = "DR2"
    case dr3 = "DR3"
    case dr6 = "DR6"
    case dr7 = "DR7"
    /// TCG's lazy flags: the first operand.
    case conditionCodeSource = "CCS"
    /// TCG's lazy flags: the result.
    case conditionCodeDestination = "CCD"
    case efer = "EFER"
  }

  public enum SegmentRegister: String, CaseIterable, Hashable, Sendable {
    case es = "ES"
    case cs = "CS"
    case ss = "SS"
    case ds = "DS"
    case fs = "FS"
    case gs = "GS"
    case ldtr = "LDT"
    case tr = "TR"
  }

  public enum DescriptorTable: String, CaseIterable, Hashable, Sendable {
    case gdtr = "GDT"
    case idtr = "IDT"
  }

  /// Something in the dump that cannot be right or that makes it doubtful.
  public struct Problem: Hashable, Sendable {
    /// Counted from 1.
    public var line: Int
    public var text: String

    public init(line: Int, text: String) {
      self.line = line
      self.text = text
    }
  }

  public subscript(register: Register) -> UInt64? { registers[register]?.value }

  public subscript(segment: SegmentRegister) -> Segment? { segments[segment]?.value }

  public subscript(table: DescriptorTable) -> DescriptorTableRegister? { descriptorTables[table]?.value }
}
