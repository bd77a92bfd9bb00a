import Investigation
import QEMU
import Testing

/// Logs of `-d int,in_asm` that end with a block from which nothing leads on.
@Suite("logs that end in a loop")
struct LoggedLoopTests {
  private func verdict(
    _ blocks: String, command: String = "qemu-system-x86_64 -kernel k.elf", isEnded: Bool = true
  ) -> Verdict {
    let end = isEnded ? "qemu-system-x86_64: terminating on signal 15 from pid 42 (timeout)\n" : ""
    let text = "$ \(command)\n\(end)SMM: enter\nSMM: after RSM\n" + blocks
    var scene = Scene()
    scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
    scene.accelerator = Sourced(.tcg, .commandLine)
    for entry in scene.log {
      if case .commandLine(let recorded) = entry.value { scene.commandLine = recorded.commandLine }
    }
    return Investigator.verdict(on: scene)
  }

  private static let off = "----------------\nIN: \n0x00007c00:  fa                       cli      \n\n"
  private static let on = "----------------\nIN: \n0x00100040:  fb                       sti      \n\n"
  private static let jump = "----------------\nIN: main\n0x00100031:  eb fe                    jmp      0x100031\n\n"
  private static let halt = """
    ----------------
    IN: main
    0x00100098:  b0 34                    movb     $0x34, %al
    0x0010009a:  e6 43                    outb     %al, $0x43
    0x0010009c:  f4                       hlt


    """
  private static let spin = """
    ----------------
    IN: main
    0x001000af:  83 38 00                 cmpl     $0, (%rax)
    0x001000b2:  74 fb                    je       0x1000af


    """
  private static let poll = """
    ----------------
    IN: main
    0x00100014:  ec                       inb      %dx, %al
    0x00100015:  a8 40                    testb    $0x40, %al
    0x00100017:  74 fb                    je       0x100014


    """
  /// `mov $port, %dx` in front of the loop, which leads to it.
  private static func port(_ port: UInt16) -> String {
    let bytes = [port & 0xFF, port >> 8].map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
    return
      "----------------\nIN: main\n0x00100010:  66 ba \(bytes.joined(separator: " "))              movw     $0x1f7, %dx\n\n"
  }
  private static let otherPort =
    "----------------\nIN: main\n0x00100018:  ba f7 01 00 00           movl     $0x1f7, %edx\n\n"
  private static let pollOfMemory = """
    ----------------
    IN: main
    0x00100014:  ec                       inb      %dx, %al
    0x00100015:  83 38 00                 cmpl     $0, (%rax)
    0x00100018:  74 fa                    je       0x100014


    """
  private static let panic = """
    ----------------
    IN: main
    0x00100057:  b0 01                    movb     $1, %al
    0x00100059:  66 ba 05 05              movw     $0x505, %dx
    0x0010005d:  ee                       outb     %al, %dx
    0x0010005e:  fa                       cli
    0x0010005f:  f4                       hlt


    """
  private static let interrupt = """
    Servicing hardware INT=0x20
         0: v=20 e=0000 i=0 cpl=0 IP=0008:0000000000100031 pc=0000000000100031 SP=0010:000000000014afe0 env->regs[R_EAX]=0000000000105010

    """

  /// Blocks of 256 zero bytes, one behind the other.
  private static func zeroes(blocks: Int) -> String {
    (0..<blocks).map { block in
      let lines = (0..<128).map { line in
        "0x0000\(String(0x8000 + block * 256 + line * 2, radix: 16)):  00 00                    addb     %al, (%bx, %si)"
      }
      return "----------------\nIN: \n\(lines.joined(separator: "\n"))\n\n"
    }.joined()
  }

  private static func nestedExits(_ count: Int) -> String {
    String(repeating: "vmexit(ffffffff, 0000000000000000, f000ff53f000ff53, 000000000010000d)!\n", count: count)
  }

  /// An interrupt from a device, and the registers that it found.
  private static func tick(_ number: Int) -> String {
    "Servicing hardware INT=0x08\n     \(number): v=08 e=0000 i=0 cpl=0 IP=0008:0000000000100031 pc=0000000000100031 "
      + "SP=0010:0000000000008000 env->regs[R_EAX]=0000000000000000\n"
      + RegisterDumpText(SmallGuest().state).lines.joined(separator: "\n") + "\n"
  }

  private static let logs: [(what: String, text: String, cause: String?)] = [
    ("a jump to itself", off + jump, "hang.self-loop"),
    ("HLT after CLI", off + halt, "hang.interrupts-off"),
    ("HLT after STI waits", off + on + halt, nil),
    ("the handler of #DF halts after a tick", tick(0) + off + halt, "interrupt.pic-not-remapped"),
    ("a kernel that has its timer on vector 8", tick(0) + tick(1) + off + halt, "hang.interrupts-off"),
    ("HLT of which nothing tells", halt, nil),
    ("a loop that looks at memory", off + spin, "hang.spin"),
    ("the same with interrupts on", off + on + spin, nil),
    ("a device may yet answer", off + poll, nil),
    ("a device that does not answer", off + port(0x1F7) + poll, "hang.poll"),
    ("the same with interrupts on", off + on + port(0x1F7) + poll, "hang.poll"),
    ("the keyboard", off + port(0x64) + poll, nil),
    ("a port from elsewhere", off + otherPort + poll, nil),
    ("a loop that memory ends", off + port(0x1F7) + pollOfMemory, nil),
    ("an interrupt came", off + jump + interrupt, nil),
    ("a block that leads on", off + jump + on, nil),
    ("zeroes without an end", off + zeroes(blocks: 3), "execution.zeroes"),
    ("the padding behind a jump", off + zeroes(blocks: 1), nil),
    ("a control register that TCG does not write", off + nestedExits(40), "hang.tcg-control-register"),
    ("a hypervisor's guest that fails", off + nestedExits(2), nil),
  ]

  @Test("the last block tells", arguments: logs)
  func ends(_ log: (what: String, text: String, cause: String?)) {
    let verdict = verdict(log.text)
    #expect(verdict.cause?.id == log.cause, "\(log.what)")
    #expect(verdict.outcome == (log.cause == nil ? .undetermined : .hung), "\(log.what)")
  }

  @Test("a log that may have been cut off, and one of several processors, tell nothing")
  func unknownEnds() {
    #expect(verdict(Self.off + Self.jump, isEnded: false).cause == nil)
    #expect(verdict(Self.port(0x1F7) + Self.poll, isEnded: false).cause == nil)
    #expect(verdict(Self.off + Self.jump, command: "qemu-system-x86_64 -smp 2 -kernel k.elf").cause == nil)
  }

  @Test("a panic that is told to pvpanic is one where there is such a device, and where nothing follows")
  func panic() {
    let command = "qemu-system-x86_64 -device pvpanic"
    let panicked = verdict(Self.off + Self.panic, command: command, isEnded: false)
    #expect(panicked.cause?.id == "guest.panic")
    #expect(panicked.cause?.confidence == .likely)
    #expect(panicked.outcome == .undetermined)
    #expect(verdict(Self.panic, command: command + ",ioport=0x505").cause?.id == "guest.panic")
    #expect(verdict(Self.panic, command: command + ",ioport=0x600", isEnded: false).cause == nil)
    #expect(verdict(Self.panic, command: "qemu-system-x86_64", isEnded: false).cause == nil)
    #expect(verdict(Self.panic + Self.on, command: command, isEnded: false).cause == nil)
    let crashLoaded = Self.panic.replacing("b0 01 ", with: "b0 02 ")
    #expect(verdict(crashLoaded, command: command, isEnded: false).cause == nil)
  }
}
