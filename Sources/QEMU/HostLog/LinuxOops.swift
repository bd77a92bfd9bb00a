/// What a Linux kernel prints of its own registers at an oops, a warning or a panic, the host's or the guest's (arch/x86/kernel/dumpstack.c:
/// show_ip, show_opcodes; process_64.c: __show_regs; Linux 4.18 to 6.19):
///
///     RIP: 0010:clear_page+0x7/0x10
///     Code: 48 89 e5 <48> f7 fe …
///     RAX: 000000003b9aca00 RBX: 0000000005f5e100 RCX: 000000000000002a
public struct LinuxOops: Hashable, Sendable {
  /// The function with its offset, as the kernel names it.
  public var place: String
  /// The bytes around RIP.
  public var code: CodeBytes?
  /// The general-purpose registers and CR2, as far as they are shown.
  public var registers: [RegisterDump.Register: UInt64] = [:]

  /// A line that begins such an account, of the kernel's own code: CS is 10H.
  init?(_ line: LogLine) {
    var scanner = LineScanner(line.bytes)
    guard scanner.skip(past: "RIP: 0010:") else { return nil }
    place = scanner.text(until: UInt8(ascii: " "))
    guard !place.isEmpty else { return nil }
  }

  /// Takes one more line; false where it is none of the account.
  mutating func take(_ line: LogLine) -> Bool { takeCode(line) || takeRegisters(line) }

  private mutating func takeCode(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    guard code == nil, scanner.skip(past: "Code: ") else { return false }
    var reader = CodeBytesReader(line: line.number)
    _ = reader.read(scanner.rest, wholeLine: false)
    code = reader.code.bytes.isEmpty ? nil : reader.code
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
