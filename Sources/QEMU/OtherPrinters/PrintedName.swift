import X86

/// What a name in another program's account of a processor stands for.
enum PrintedName: Hashable {
  case number(RegisterDump.Register)
  case segment(RegisterDump.SegmentRegister)
  case table(RegisterDump.DescriptorTable)
  /// The vector of an exception, hexadecimal.
  case vector
  case errorCode

  /// The name in lower case; nil for every other word.
  init?(_ word: String) {
    guard let name = Self.byWord[Self.withoutPrefix(word)] else { return nil }
    self = name
  }

  /// xhyve and HyperKit name a register by its field in the VMCS (src/vmm/intel/vmx.c: hvdump): `VMCS_GUEST_IA32_EFER`.
  static func isOfVMCS(_ word: String) -> Bool { word.hasPrefix("vmcs_guest_") }

  private static func withoutPrefix(_ word: String) -> String {
    guard isOfVMCS(word) else { return word }
    let field = word.dropFirst(11)
    return String(field.hasPrefix("ia32_") ? field.dropFirst(5) : field)
  }

  /// The name of a register without the letter of its width, which is one only where a number of that width follows (Redox 2016:
  /// `IP:  00000000`).
  init?(short word: String) {
    switch word {
    case "ip", "sp", "bp", "ax", "bx", "cx", "dx", "si", "di": self.init("e" + word)
    case "flg": self = .number(.rflags)
    default: return nil
    }
  }

  /// Whether a line that begins with the register alone may begin an account, as GDB, the debugger of Bochs and those of the BSDs print it,
  /// one in a line.
  var canBeginAlone: Bool {
    switch self {
    case .number(.rax), .number(.rip), .number(.rdi), .segment(.cs): true
    default: false
    }
  }

  private static let byWord: [String: PrintedName] = {
    var table: [String: PrintedName] = [:]
    for register in RegisterDump.Register.allCases { table[register.rawValue.lowercased()] = .number(register) }
    // Flags that QEMU alone prints by these names.
    for name in ["cpl", "ii", "a20", "smm", "hlt", "ccs", "ccd", "dr0", "dr1", "dr2", "dr3", "dr6", "dr7"] {
      table[name] = nil
    }
    for register: RegisterDump.Register in [.rax, .rbx, .rcx, .rdx, .rsi, .rdi, .rbp, .rsp, .rip] {
      table["e" + register.rawValue.dropFirst().lowercased()] = .number(register)
    }
    // EDK2 and Linux print R8 and R9 with two digits.
    (table["r08"], table["r09"]) = (.number(.r8), .number(.r9))
    for name in ["flags", "eflags", "rflags", "rfl", "efl", "cpu_flags"] { table[name] = .number(.rflags) }
    // SerenityOS: `pc=0x0008:0xc1000960`.
    table["pc"] = .number(.rip)
    (table["instruction_pointer"], table["stack_pointer"]) = (.number(.rip), .number(.rsp))
    for segment in RegisterDump.SegmentRegister.allCases { table[segment.rawValue.lowercased()] = .segment(segment) }
    (table["ldtr"], table["code_segment"], table["stack_segment"]) = (.segment(.ldtr), .segment(.cs), .segment(.ss))
    for register in RegisterDump.DescriptorTable.allCases {
      table[register.rawValue.lowercased()] = .table(register)
      table[register.rawValue.lowercased() + "r"] = .table(register)
    }
    // Small kernels: `_CS=`.
    for segment: RegisterDump.SegmentRegister in [.cs, .ss] {
      table["_" + segment.rawValue.lowercased()] = .segment(segment)
    }
    // illumos: `trp:`, `err:`; Fuchsia: `errc:`; Solo5: `ec=`; Rust's crate trapframe: `trap_num:`.
    for name in ["vector", "interrupt", "trapno", "int_no", "trp", "trap_num", "int", "exception"] {
      table[name] = .vector
    }
    for name in ["exceptiondata", "error", "err_code", "error_code", "errcode", "err", "errc", "ec"] {
      table[name] = .errorCode
    }
    return table
  }()
}

/// Words by which programs name an exception, in lower case, beside the registers.
enum PrintedException {
  /// The exception that a line names, in letters of either case; of several, that which stands first in ``words``.
  static func vector(in line: LogLine) -> ExceptionVector? {
    var first = words.count
    var rest = line.bytes
    // A trace has a hundred thousand lines: each byte is looked at once, and compared where a word may begin.
    while let letter = rest.first {
      if initials[Int(letter)] {
        first = words.prefix(first).firstIndex { begins(rest, with: $0.bytes) && !isSymbol(rest) } ?? first
      }
      rest.removeFirst()
    }
    return first < words.count ? words[first].vector : nil
  }

  private static func begins(_ text: ArraySlice<UInt8>, with word: [UInt8]) -> Bool {
    text.count >= word.count && zip(text, word).allSatisfy { lowercased($0) == $1 }
  }

  /// Whether a word is a function's name in a list of calls: `do_double_fault+0x9f/0x130`, `page_fault+105`.
  private static func isSymbol(_ text: ArraySlice<UInt8>) -> Bool {
    let end = text.firstIndex { !Byte.isWord($0) } ?? text.endIndex
    return end < text.endIndex && text[end] == UInt8(ascii: "+")
  }

  private static func lowercased(_ letter: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(letter) ? letter | 0x20 : letter
  }

  /// Whether one of the words begins with a byte.
  private static let initials: [Bool] = (0...UInt8.max).map { byte in
    words.contains { $0.bytes.first == lowercased(byte) }
  }

  /// The error code of a page fault as the crate x86_64 prints its flags; nil where the text names none.
  static func errorCode(of text: String) -> UInt32? {
    let flags: [(String, UInt32)] = [
      ("PROTECTION_VIOLATION", 1), ("CAUSED_BY_WRITE", 2), ("USER_MODE", 4), ("MALFORMED_TABLE", 8),
      ("INSTRUCTION_FETCH", 0x10),
    ]
    let code = flags.filter { text.contains($0.0) }.reduce(0) { $0 | $1.1 }
    return code != 0 || text.contains("(0x0)") || text.contains("empty") ? code : nil
  }

  private static let words = spellings.map { (bytes: Array($0.0.utf8), vector: $0.1) }

  private static let spellings: [(String, ExceptionVector)] = [
    // Solo5 (bindings/cpu_x86_64.c: cpu_trap_handler) and others, by the manuals' names.
    ("#pf", .pageFault), ("#gp", .generalProtection), ("#df", .doubleFault), ("#ud", .invalidOpcode),
    ("unable to handle kernel", .pageFault), ("unable to handle page fault", .pageFault), ("page fault", .pageFault),
    ("page_fault", .pageFault), ("pagefault", .pageFault),
    ("gpf error", .generalProtection), ("general protection", .generalProtection),
    ("general_protection", .generalProtection),
    ("protection fault", .generalProtection), ("double fault", .doubleFault), ("double_fault", .doubleFault),
    ("invalid opcode", .invalidOpcode),
    ("invalid_opcode", .invalidOpcode), ("undefined opcode", .invalidOpcode), ("divide error", .divideError),
    ("divide by zero", .divideError), ("division by zero", .divideError), ("segment not present", .segmentNotPresent),
    ("invalid tss", .invalidTSS), ("stack-segment fault", .stackFault), ("stack segment fault", .stackFault),
  ]
}
