import Files
public import X86

/// What NT_PRSTATUS shows of a processor: the registers of a thread, and no control register or hidden part of a segment.
///
/// It is all that a dump has which was not made by QEMU, such as the one of a guest's own kdump.
public struct ThreadStatus: Hashable, Sendable {
  /// pr_pid: the vCPU's index and one in what QEMU writes (dump/dump.c: cpu_index), a thread's number in what Linux does.
  public var threadID: UInt32
  public var generalPurpose: GeneralPurposeRegisters
  public var rip: UInt64
  public var rflags: RFLAGS
  public var cs: SegmentSelector
  public var ss: SegmentSelector
  public var ds: SegmentSelector
  public var es: SegmentSelector
  public var fs: SegmentSelector
  public var gs: SegmentSelector
  /// Nil in the form of i386, which has no bases.
  public var fsBase: UInt64?
  public var gsBase: UInt64?
}

extension ThreadStatus {
  /// Reads `elf_prstatus` (Linux include/linux/elfcore.h; the same in QEMU's target/i386/arch_dump.c, 10.2).
  ///
  /// Which machine's it is only its size tells: QEMU writes i386's into an ELF64 file, too, while the first vCPU is not in
  /// long mode (x86_cpu_write_elf64_note), and a kdump does not say.
  init(_ reader: inout ByteReader) throws(FileError) {
    switch reader.remaining {
    case 336: try self.init(x86_64: &reader)
    case 144: try self.init(i386: &reader)
    case let size:
      throw reader.error("an NT_PRSTATUS of \(size) bytes is neither that of x86-64 (336) nor that of i386 (144)")
    }
  }

  private init(x86_64 reader: inout ByteReader) throws(FileError) {
    try reader.skip(32, "signals")
    threadID = try reader.integer(UInt32.self, "a thread's number")
    try reader.skip(76, "times")
    var registers = GeneralPurposeRegisters()
    for register in [
      \GeneralPurposeRegisters.r15, \.r14, \.r13, \.r12, \.rbp, \.rbx, \.r11, \.r10, \.r9, \.r8,
      \.rax, \.rcx, \.rdx, \.rsi, \.rdi,
    ] {
      registers[keyPath: register] = try reader.integer(UInt64.self, "a register")
    }
    try reader.skip(8, "orig_rax")
    rip = try reader.integer(UInt64.self, "RIP")
    cs = try SegmentSelector(UInt64.self, &reader)
    rflags = RFLAGS(rawValue: try reader.integer(UInt64.self, "RFLAGS"))
    registers.rsp = try reader.integer(UInt64.self, "RSP")
    ss = try SegmentSelector(UInt64.self, &reader)
    fsBase = try reader.integer(UInt64.self, "FS.base")
    gsBase = try reader.integer(UInt64.self, "GS.base")
    ds = try SegmentSelector(UInt64.self, &reader)
    es = try SegmentSelector(UInt64.self, &reader)
    fs = try SegmentSelector(UInt64.self, &reader)
    gs = try SegmentSelector(UInt64.self, &reader)
    generalPurpose = registers
  }

  private init(i386 reader: inout ByteReader) throws(FileError) {
    try reader.skip(24, "signals")
    threadID = try reader.integer(UInt32.self, "a thread's number")
    try reader.skip(44, "times")
    var registers = GeneralPurposeRegisters()
    for register in [\GeneralPurposeRegisters.rbx, \.rcx, \.rdx, \.rsi, \.rdi, \.rbp, \.rax] {
      registers[keyPath: register] = UInt64(try reader.integer(UInt32.self, "a register"))
    }
    ds = try SegmentSelector(UInt32.self, &reader)
    es = try SegmentSelector(UInt32.self, &reader)
    fs = try SegmentSelector(UInt32.self, &reader)
    gs = try SegmentSelector(UInt32.self, &reader)
    try reader.skip(4, "orig_eax")
    rip = UInt64(try reader.integer(UInt32.self, "EIP"))
    cs = try SegmentSelector(UInt32.self, &reader)
    rflags = RFLAGS(rawValue: UInt64(try reader.integer(UInt32.self, "EFLAGS")))
    registers.rsp = UInt64(try reader.integer(UInt32.self, "ESP"))
    ss = try SegmentSelector(UInt32.self, &reader)
    fsBase = nil
    gsBase = nil
    generalPurpose = registers
  }
}

extension SegmentSelector {
  /// Reads a selector from a wider field.
  fileprivate init<Field: FixedWidthInteger & BitwiseCopyable>(
    _ field: Field.Type, _ reader: inout ByteReader
  ) throws(FileError) {
    self.init(rawValue: UInt16(truncatingIfNeeded: try reader.integer(field, "a selector")))
  }
}
