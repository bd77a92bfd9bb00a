import QEMU
import SeededRandom
import Testing

@Suite struct HostileTextTests {
  private static let files = [
    "qemu/kvm-emulation-failure.log", "qemu/info-registers.log", "qemu/tcg-triple-fault.log",
    "one-gib-pages/post.qemu.log",
  ]

  /// What was read before the end of a cut text is what the whole text says.
  @Test(arguments: files)
  func truncatedEverywhere(_ file: String) throws {
    let text = try fixture(file)
    let whole = QEMULog.parse(utf8: text)
    for length in stride(from: 0, to: text.count, by: text.count > 6000 ? 7 : 1) {
      let cut = QEMULog.parse(utf8: Array(text[..<length]))
      // The last two entries may be the one that was cut and what its rest was taken for.
      let settled = cut.dropLast(2)
      #expect(Array(settled) == Array(whole.prefix(settled.count)), "at \(length)")
    }
  }

  @Test func randomBytes() {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<200 {
      let text = (0..<2000).map { _ in UInt8.random(in: 0...255, using: &generator) }
      check(QEMULog.parse(utf8: text), lines: text.count + 1)
    }
  }

  /// Pieces of real lines in any order, broken anywhere.
  @Test func shuffledPieces() {
    var generator = SeededGenerator(seed: 2)
    let pieces = [
      "EAX=00000000 ", "RAX=", "0000000000000000", "CS =", "0008 00000000 ffffffff 00c09b00", "\n", "\r\n", "\r", " ",
      "Code=", "<", ">", "??", "0f ", "GDT= ", "EFER=", "CPU#", "99999999999999999999",
      "KVM internal error. Suberror: ",
      "extra data[", "0]: ", "v=0e e=", "IP=", "SP=0010:", "qemu-system-x86_64 ", "-m ", "-device ", "\\\n", "'", "\"",
      "=", "CPL=0 ", "check_exception old: ", "0x", " new ", "\u{0}", "é", "> ", "doesn't support requested feature: ",
      "[bit ", "CR3=", "DPL=", "-", "[CPU0  ] | ", "CPU is in ", "cs={", " base=", " limit=", "flags=", "}", "{ ",
      "kvm_regs {",
      "StackFrame {", "rax: ", "rip: ", "RIP  - ", "EIP: 0060:[<", "_", "IOPL=0 id vip", "Exception Type - 0D(",
      "(unk. ctxt): ; ",
      "gdt ", "gdtr=0:", "vm exit[", "]\n\trip\t\t", "exit_reason\t", "exitcode\t0x",
      "Failed to emulate instruction sequence [ ",
      "trap type ", " code ", "6", " rip ", "page fault", "address: ", "error code 0x", "Interrupt 0x",
      "KVM_EXIT_INTERNAL_ERROR suberror",
      "vcpu hit unknown error: ", "\u{B}", "\\u003c", "err=",
    ]
    for _ in 0..<2000 {
      let text = (0..<40).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
      check(QEMULog.parse(text), lines: text.utf8.count + 1)
    }
  }

  @Test(arguments: [
    "EAX=00000000 ", "=", "'", "qemu-kvm -S \\\n", "-device\n", "CPU#1\n", "Code=0f ", "v=0e e=0000 ",
    "vm exit[0]\n", "Page fault at address 0x18\n", "trap type 6 code 2 rip 1 cs 8\n", "RIP: 0x1\nPage fault\n",
    "RAX=1 EIP=2 GDT=3 CR0=4 ",
    "kvm_regs {", "{", "rax: 1 rbx: 2\n", "StackFrame { a: ", "[CPU0  ] | CPU is in \n",
  ])
  func repetition(_ piece: String) {
    let text = String(repeating: piece, count: 5000)
    check(QEMULog.parse("qemu-kvm -S\n" + text), lines: text.utf8.count + 2)
  }

  private func check(_ entries: [QEMULogEntry], lines: Int) {
    for entry in entries {
      #expect(entry.lines.lowerBound >= 1 && entry.lines.upperBound <= lines)
      if case .commandLine(let line) = entry.message {
        _ = (line.commandLine.options, line.commandLine.cpu, line.commandLine.memorySize, line.commandLine.accelerators)
      }
    }
    #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.lines.lowerBound <= $1.lines.lowerBound })
  }
}
