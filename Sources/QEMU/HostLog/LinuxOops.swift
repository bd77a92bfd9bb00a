import X86

/// What a Linux kernel prints of its own registers at an oops, a warning or a panic, the host's or the guest's (arch/x86/kernel/dumpstack.c:
/// show_ip, show_opcodes, show_trace_log_lvl; process_64.c: __show_regs; Linux 3.10 to 6.19). A kernel of 32 bits prints all its registers, and is
/// read as a dump:
///
///     BUG: kernel NULL pointer dereference, address: 0000000000000008
///     RIP: 0010:clear_page+0x7/0x10
///     Code: 48 89 e5 <48> f7 fe …
///     RAX: 000000003b9aca00 RBX: 0000000005f5e100 RCX: 000000000000002a
///     Call Trace:
///      ? do_one_initcall+0x59/0x220
///      do_init_module+0x4a/0x1f0
public struct LinuxOops: Hashable, Sendable {
  /// What happened, in the kernel's words, where a line shortly before says it.
  public var headline: Statement?
  /// The function with its offset, as the kernel names it, and its module in brackets.
  public var place: String
  /// The bytes around RIP.
  public var code: CodeBytes?
  /// The general-purpose registers and CR2, as far as they are shown.
  public var registers: [RegisterDump.Register: UInt64] = [:]
  /// The innermost of the functions that called, without those that may be left over on the stack.
  public var calls: [String] = []

  private static let mostCalls = 6

  /// A line that begins such an account, of the kernel's own code: CS is 10H.
  init?(_ line: LogLine) {
    var scanner = LineScanner(line.bytes)
    guard scanner.skip(past: "RIP: 0010:") else { return nil }
    let rest = scanner
    place = Self.function(in: rest) ?? scanner.text(until: UInt8(ascii: " "))
    guard !place.isEmpty else { return nil }
  }

  /// The first `name+0x7/0x10` of a line, with the module that may follow in brackets.
  private static func function(in scanner: LineScanner) -> String? {
    let words = scanner.rest.split(whereSeparator: Byte.isBlank)
    guard let index = words.firstIndex(where: isFunction) else { return nil }
    let name = String(decoding: words[index], as: UTF8.self)
    let next = words.index(after: index)
    guard next < words.endIndex, words[next].first == UInt8(ascii: "["), words[next].last == UInt8(ascii: "]") else {
      return name
    }
    return "\(name) \(String(decoding: words[next], as: UTF8.self))"
  }

  private static func isFunction(_ word: ArraySlice<UInt8>) -> Bool {
    var scanner = LineScanner(word)
    guard let first = word.first, Byte.isWord(first), scanner.skip(past: "+0x"), scanner.hex() != nil,
      scanner.skip("/0x"), scanner.hex() != nil
    else { return false }
    return scanner.isAtEnd
  }

  /// Takes one more line; false where it is none of the account.
  mutating func take(_ line: LogLine) -> Bool { takeCode(line) || takeRegisters(line) || takeCall(line) }

  private mutating func takeCode(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    guard code == nil, scanner.skip(past: "Code: ") else { return false }
    var reader = CodeBytesReader(line: line.number)
    _ = reader.read(scanner.rest, wholeLine: false)
    code = reader.code.bytes.isEmpty ? nil : reader.code
    return true
  }

  private mutating func takeCall(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    // Another account may follow at once.
    guard !scanner.skip(past: "IP: "), let function = Self.function(in: LineScanner(line.bytes)) else { return false }
    var leftOver = LineScanner(line.bytes)
    if !leftOver.skip(past: "? "), calls.count < Self.mostCalls { calls.append(function) }
    return true
  }

  private static let names: [(StaticString, RegisterDump.Register)] = [
    ("RAX: ", .rax), ("RBX: ", .rbx), ("RCX: ", .rcx), ("RDX: ", .rdx), ("RSI: ", .rsi), ("RDI: ", .rdi),
    ("RBP: ", .rbp), ("R08: ", .r8), ("R09: ", .r9), ("R10: ", .r10), ("R11: ", .r11), ("R12: ", .r12),
    ("R13: ", .r13), ("R14: ", .r14), ("R15: ", .r15), ("CR2: ", .cr2),
  ]

  private mutating func takeRegisters(_ line: LogLine) -> Bool {
    var found = false
    for (name, register) in Self.names where registers[register] == nil {
      var scanner = LineScanner(line.bytes)
      guard scanner.skip(past: name), let value = scanner.hex(), value.digits == 16 else { continue }
      registers[register] = value.value
      found = true
    }
    var stack = LineScanner(line.bytes)
    guard stack.skip(past: "RSP: 0"), stack.skip(past: ":"), let value = stack.hex(), value.digits == 16 else {
      return found
    }
    registers[.rsp] = registers[.rsp] ?? value.value
    return true
  }
}

extension Statement {
  /// Whether a Linux kernel says so what the account of its registers is about, which follows within some lines.
  var isHeadlineOfOops: Bool {
    switch kind {
    case .guestOops, .kernelOops, .generalProtectionInHost, .softLockup, .kernelWarning, .taskHung, .guestPanic: true
    default: false
    }
  }
}
