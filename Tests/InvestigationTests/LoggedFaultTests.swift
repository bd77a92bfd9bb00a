import Investigation
import KVM
import QEMU
import Testing
import X86

/// What logs of `-d int` tell where they show no registers, or not all.
@Suite("exceptions in logs without registers")
struct LoggedFaultTests {
  private func verdict(_ text: String) -> Verdict {
    var scene = Scene()
    scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
    scene.accelerator = Sourced(.tcg, .commandLine)
    for entry in scene.log {
      if case .commandLine(let recorded) = entry.value { scene.commandLine = recorded.commandLine }
    }
    return Investigator.verdict(on: scene)
  }

  private static let end = "check_exception old: 0x8 new 0xe\nTriple fault\n"

  private static let logs: [(what: String, text: String, cause: String?, Confidence?, words: String)] = [
    (
      "the processor's own access while it delivers a timer's interrupt to user mode, in lines that follow one another",
      """
         0: v=20 e=0000 i=0 cpl=3 IP=002b:0000000000400027 pc=0000000000400027 SP=0023:0000000000402000
         1: v=0e e=0000 i=0 cpl=3 IP=002b:0000000000400027 pc=0000000000400027 CR2=0000000000000004
         2: v=08 e=0000 i=0 cpl=3 IP=002b:0000000000400027 pc=0000000000400027
      check_exception old: 0x8 new 0xd
      """ + "\n", nil, nil, "where a TSS at address 0 has the stack pointer for CPL 0"
    ),
    (
      "#UD in real mode, where nothing can be delivered",
      """
      Servicing hardware INT=0x08
      check_exception old: 0xffffffff new 0x6
      check_exception old: 0xffffffff new 0xd
      check_exception old: 0xd new 0xd
      """ + "\n" + end, "instruction.undefined", .possible, "LTR and LLDT in real mode"
    ),
    (
      "#UD at bytes that nothing shows",
      """
      check_exception old: 0xffffffff new 0x6
         0: v=06 e=0000 i=0 cpl=0 IP=0008:0000000000400000 pc=0000000000400000 SP=0010:0000000000149fe8 env->regs[R_EAX]=0000000000400000
      check_exception old: 0xffffffff new 0xd
         1: v=0d e=0062 i=0 cpl=0 IP=0008:0000000000400000 pc=0000000000400000 SP=0010:0000000000149fe8 env->regs[R_EAX]=0000000000400000
      check_exception old: 0xd new 0xd
      """ + "\n" + end, "instruction.undefined", .possible, "nothing here shows the bytes"
    ),
    (
      "a recursion without a stack for #DF",
      """
      check_exception old: 0xffffffff new 0xe
        17: v=0e e=0002 i=0 cpl=0 IP=0008:00000000002013a0 pc=00000000002013a0 SP=0010:0000000000403010 CR2=0000000000402fd8
      check_exception old: 0xe new 0xe
        18: v=08 e=0000 i=0 cpl=0 IP=0008:00000000002013a0 pc=00000000002013a0 SP=0010:0000000000403010 env->regs[R_EAX]=0000000000000000
      """ + "\n" + end, "stack.overflow", .likely, "56 bytes below the stack pointer"
    ),
    (
      "a new CR3 that maps nothing here",
      """
        201000: 48 8b 3d f9 0f 00 00 \tmov 0xff9(%rip),%rdi
        201007: 0f 22 df             \tmov %rdi,%cr3
        20100a: c3                   \tret
      check_exception old: 0xffffffff new 0xe
         0: v=0e e=0000 i=0 cpl=0 IP=0008:000000000020100a pc=000000000020100a SP=0010:0000000000403ff8 CR2=000000000020100a
      check_exception old: 0xe new 0xe
      """ + "\n" + end, "paging.wrong-cr3", .likely, "nothing maps it there"
    ),
    (
      "a tag in CR3 that is part of the address, with a kernel that was moved",
      """
      ffffffff80201000: 0f 20 da
      ffffffff80201003: 48 81 e2 ff df ff ff
      ffffffff8020100a: 0f 22 da
      ffffffff8020100d: 58
      0000000000302000 b boot_tables
      check_exception old: 0xffffffff new 0xe
         5: v=0e e=0018 i=0 cpl=0 IP=0010:ffffffff9a20100d pc=ffffffff9a20100d SP=0018:ffffffff9a403ff8 CR2=ffffffff9a20100d
           CR0=80050033 CR2=ffffffff9a20100d CR3=0000000000300000 CR4=000000a0
      check_exception old: 0xe new 0xe
      """ + "\n" + end, "paging.wrong-cr3", .likely, "0x302000, where boot_tables is, becomes 0x300000"
    ),
    (
      "a reserved bit, and nothing more",
      """
         2: v=0e e=0009 i=0 cpl=0 IP=0008:0000000000100200 pc=0000000000100200 SP=0010:0000000000007c00 CR2=0000000040000000
      check_exception old: 0xe new 0xd
      """ + "\n" + end, "paging.reserved-bit", .likely, "RSVD"
    ),
    (
      "SSE without OSFXSR on a model that has it",
      """
      qemu-system-x86_64 -d int -cpu qemu64 -kernel k.elf
      100a10: 66 0f ef c0          \tpxor   %xmm0,%xmm0
         0: v=06 e=0000 i=0 cpl=0 IP=0008:0000000000100a10 pc=0000000000100a10 SP=0010:0000000000105ff0 env->regs[R_EAX]=0000000000000001
      check_exception old: 0xffffffff new 0xd
         1: v=0d e=0062 i=0 cpl=0 IP=0008:0000000000100a10 pc=0000000000100a10 SP=0010:0000000000105ff0 env->regs[R_EAX]=0000000000000001
      check_exception old: 0xd new 0xd
         2: v=08 e=0000 i=0 cpl=0 IP=0008:0000000000100a10 pc=0000000000100a10 SP=0010:0000000000105ff0 env->regs[R_EAX]=0000000000000001
      check_exception old: 0x8 new 0xd
      """, "cpu.feature-not-enabled", .likely, "CR4.OSFXSR=0"
    ),
    (
      "AVX on a model that has none",
      """
      qemu-system-x86_64 -d int -cpu qemu64 -kernel k.elf
      ILLOPC: 0000000000100a10: c5 f8
         0: v=06 e=0000 i=0 cpl=0 IP=0008:0000000000100a10 pc=0000000000100a10 SP=0010:0000000000105ff0 env->regs[R_EAX]=0000000000000001
      """, "cpu.missing-feature", .possible, "a VEX prefix of two bytes"
    ),
    (
      "BMI2 or AVX on a model that has neither: the opcode is not listed",
      """
      qemu-system-x86_64 -d int -cpu qemu64 -kernel k.elf
      ILLOPC: 0000000000100a10: c4 e2 e9
         0: v=06 e=0000 i=0 cpl=0 IP=0008:0000000000100a10 pc=0000000000100a10 SP=0010:0000000000105ff0 env->regs[R_EAX]=0000000000000001
      """, "cpu.missing-feature", .possible, "a VEX prefix of three bytes (map 0F38, W=1, pp=66)"
    ),
    (
      "a write to a page that is not there, the run's first exception",
      "     0: v=0e e=0002 i=0 cpl=0 IP=0008:0000000000100b00 pc=0000000000100b00 SP=0010:0000000000108000 CR2=00000000000b8000\n",
      "paging.not-present", .possible, "VGA text buffer"
    ),
    (
      "the same in a system that has handled others",
      "    40: v=0e e=0002 i=0 cpl=0 IP=0008:0000000000100b00 pc=0000000000100b00 SP=0010:0000000000108000 CR2=00000000000b8000\n",
      nil, nil, ""
    ),
    (
      "a program's first page fault",
      "     0: v=0e e=0004 i=0 cpl=3 IP=0033:0000000000401000 pc=0000000000401000 SP=002b:0000000000508000 CR2=0000000000700000\n",
      nil, nil, ""
    ),
    (
      "a timer's interrupt on vector 8, by the lines alone",
      """
      Servicing hardware INT=0x08
           0: v=08 e=0000 i=0 cpl=0 IP=0008:00101000 pc=00101000 SP=0010:00109000 env->regs[R_EAX]=00000001
      check_exception old: 0xffffffff new 0xd
           1: v=0d e=0042 i=0 cpl=0 IP=0008:00101000 pc=00101000 SP=0010:00109000 env->regs[R_EAX]=00000001
      check_exception old: 0xd new 0xd
           2: v=08 e=0000 i=0 cpl=0 IP=0008:00101000 pc=00101000 SP=0010:00109000 env->regs[R_EAX]=00000001
      """ + "\n" + end, "interrupt.pic-not-remapped", .likely, "its IDT entry is no gate for it (#GP, 0x42)"
    ),
    (
      "a selector of the firmware's GDT",
      """
      check_exception old: 0xffffffff new 0xd
         129: v=0d e=0038 i=0 cpl=0 IP=0008:ffffffff80002000 pc=ffffffff80002000 SP=0010:0000000000111000 env->regs[R_EAX]=0
      RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000000000
      GDT=     000000000010a000 00000017
      IDT=     000000007f470018 00000fff
      check_exception old: 0xd new 0xd
      """ + "\n" + end, "segment.bad-selector", .likely, "the IDT in force, at 0x7f470018"
    ),
    (
      "a selector within the GDT, of which nothing more is known",
      """
      check_exception old: 0xffffffff new 0xd
         129: v=0d e=0010 i=0 cpl=0 IP=0008:ffffffff80002000 pc=ffffffff80002000 SP=0010:0000000000111000 env->regs[R_EAX]=0
      GDT=     000000000010a000 00000017
      check_exception old: 0xd new 0xd
      """ + "\n" + end, nil, nil, ""
    ),
    (
      "a gate whose code segment is of another GDT",
      """
      Servicing hardware INT=0xe0
         6: v=e0 e=0000 i=0 cpl=0 IP=0008:0000000000008123 pc=0000000000008123 SP=0010:0000000000081000 env->regs[R_EAX]=0
      check_exception old: 0xffffffff new 0xd
         7: v=0d e=0008 i=0 cpl=0 IP=0008:0000000000008123 pc=0000000000008123 SP=0010:0000000000081000 env->regs[R_EAX]=0
      check_exception old: 0xd new 0xd
      """ + "\n" + end, "interrupt.gate-selector", .likely, "CS has the same selector"
    ),
    (
      "lines that were cut down to vectors and codes, behind the first",
      """
      0: v=06 e=0000 i=0 cpl=0 IP=0008:000000000010a140 pc=000000000010a140 ...
      1: v=0d e=0032 ...
      2: v=08 e=0000 ...
      10a140: 0f 10 00        movups (%rax), %xmm0
      """, "cpu.feature-not-enabled", .possible, "CR4.OSFXSR"
    ),
    (
      "a division in a boot loader",
      "     9: v=00 e=0000 i=0 cpl=0 IP=0008:0000000000009000 pc=0000000000009000 SP=0010:0000000000007000 env->regs[R_EAX]=0000000000000000\ncheck_exception old: 0x8 new 0xd\n",
      "arithmetic.divide-error", .likely, "clocks"
    ),
  ]

  @Test("each log has its cause, and no other")
  func causes() {
    for (what, text, cause, confidence, words) in Self.logs {
      let verdict = verdict(text)
      #expect(verdict.cause?.id == cause, "\(what): \(verdict.observations.map(\.text))")
      #expect(verdict.cause?.confidence == confidence, "\(what)")
      #expect(verdict.cause?.summary.contains(words) ?? true, "\(what): \(verdict.cause?.summary ?? "")")
    }
  }

  @Test(
    "a stack where the Rust crate bootloader puts it",
    arguments: [0x180_0000_0FD8, 0x180_4000_0000, 0x40_0000] as [UInt64])
  func levelFourEntry(_ stack: UInt64) {
    let text =
      "     1: v=0e e=0002 i=0 cpl=0 IP=0008:0000000000201000 pc=0000000000201000 SP=0010:\(RegisterDumpText.hex(stack, 16)) CR2=0000000000001000\n"
    let texts = verdict(text).observations.map(\.text)
    #expect(texts.contains { $0.contains("entry 3 of the PML4 maps (0x18000000000)") } == (stack == 0x180_0000_0FD8))
  }

  /// `count` interrupts of one vector, each `step` bytes deeper in the stack, then a push that fails.
  private func storm(_ count: Int, step: Int, vector: String = "39") -> String {
    var lines: [String] = []
    for index in 0..<count {
      let pointer = String(0x40_8000 - index * step, radix: 16)
      lines.append("Servicing hardware INT=0x\(vector)")
      lines.append(
        "  \(index): v=\(vector) e=0000 i=0 cpl=0 IP=0008:0000000000201000 pc=0000000000201000 SP=0010:0000000000\(pointer) env->regs[R_EAX]=0000000000000000"
      )
    }
    lines.append("check_exception old: 0xffffffff new 0xe")
    lines.append("check_exception old: 0xe new 0xe")
    return lines.joined(separator: "\n") + "\n" + Self.end
  }

  @Test("an interrupt that comes into its own handler")
  func reentered() {
    let verdict = verdict(storm(40, step: 64))
    #expect(verdict.cause?.id == "interrupt.reentered")
    #expect(verdict.cause?.confidence == .likely)
    #expect(verdict.cause?.summary.contains("40 interrupts of vector 0x39") == true)
    #expect(verdict.cause?.summary.contains("64 bytes lower") == true)
    // A timer that returns each time is no storm.
    #expect(self.verdict(storm(40, step: 0)).cause?.id != "interrupt.reentered")
    #expect(self.verdict(storm(5, step: 64)).cause?.id != "interrupt.reentered")
    let condensed =
      "120 x Servicing hardware INT=0x2b\ncheck_exception old: 0xffffffff new 0xe\ncheck_exception old: 0xe new 0xe\n"
      + Self.end
    #expect(self.verdict(condensed).cause?.confidence == .possible)
  }

  @Test("a log that ends with an exception is a death where the IDT behind it is empty")
  func emptyIDT() {
    var state = Story.state(rip: 0x20_1000, cr2: 0x40_0000, idtLimit: 0)
    state.cs.attributes = SegmentAttributes(rawValue: 0xa0_9b00)
    func verdict(limit: UInt16) -> Verdict {
      state.idtr.limit = limit
      let text =
        "    7: v=0e e=0002 i=0 cpl=0 IP=0008:0000000000201000 pc=0000000000201000 SP=0010:0000000000403000 CR2=0000000000400000\n"
        + RegisterDumpText(state).lines.joined(separator: "\n")
      var scene = Scene()
      scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
      scene.processors = [Story.processor(state)]
      scene.accelerator = Sourced(.tcg, .commandLine)
      return Investigator.verdict(on: scene)
    }
    #expect(verdict(limit: 0).outcome == .died)
    #expect(verdict(limit: 0).cause?.id == "paging.not-present")
    #expect(verdict(limit: 0xFFF).outcome == .undetermined)
    #expect(verdict(limit: 0xFFF).cause == nil)
  }

  @Test("a loop that has filled a page table past its end")
  func indexPastTable() {
    func cause(_ index: UInt64) -> String? {
      var state = Story.state(rip: 0x9000, cr3: 0x2_0000, cr2: 0x2_2000 + index << 12, idtLimit: 0)
      state.cs.attributes = SegmentAttributes(rawValue: 0xa0_9b00)
      state.generalPurpose.rcx = index
      state.generalPurpose.r12 = index << 30 | 0x83
      let text =
        "  0: v=0e e=0002 i=0 cpl=0 IP=0008:0000000000009000 pc=0000000000009000 SP=0010:0000000000008000 CR2=\(RegisterDumpText.hex(state.cr2, 16))\n"
        + RegisterDumpText(state).lines.joined(separator: "\n")
      var scene = Scene()
      scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
      scene.processors = [Story.processor(state)]
      scene.accelerator = Sourced(.tcg, .commandLine)
      return Investigator.verdict(on: scene).cause?.id
    }
    #expect(cause(515) == "paging.index-past-table")
    #expect(cause(500) == "paging.not-present")
  }

  @Test("a trace whose emulator refuses an ordinary instruction")
  func refusedEmulation() {
    func verdict(_ bytes: [UInt8], failed: Bool = true) -> Verdict {
      var scene = Scene()
      let emulation = KVMEmulation(
        codeSegmentBase: 0, rip: 0xFFFF_8000_0020_0000, bytes: bytes, mode: "prot64", failed: false)
      var second = emulation
      second.failed = failed
      scene.trace = Story.records([
        .pageFault(address: 0xFEBC_0000, errorCode: 0x182, rip: nil), .emulateInstruction(emulation),
        .emulateInstruction(second),
        .injectException(vector: .invalidOpcode, errorCode: nil, isReinjected: false),
      ])
      return Investigator.verdict(on: scene)
    }
    #expect(verdict([0xF3, 0xA4]).cause?.id == "emulation.refused")
    #expect(verdict([0xF3, 0xA4]).outcome == .undetermined)
    #expect(verdict([0x0F, 0x58, 0x00]).cause == nil)
    #expect(verdict([0xF3, 0xA4], failed: false).cause == nil)
    let reflected = verdict([0x0F, 0x01, 0xD1], failed: false)
    #expect(reflected.cause == nil)
    #expect(reflected.observations.contains { $0.text.contains("`xsetbv`") && $0.text.contains("CR4.OSXSAVE") })
  }

  @Test("an ordinary instruction that KVM could not fetch")
  func refusedFetch() {
    func cause(_ command: String, data: String = "") -> Cause? {
      var scene = Scene()
      scene.log = Sourced.messages(
        of: QEMULog.parse(
          "KVM internal error. Suberror: 1\n\(data)emulation failure\n10006d: 66 c7 05 00 80 0b 00 41 07"), named: "log"
      )
      scene.processors = [Story.processor()]
      scene.accelerator = Sourced(.kvm, .commandLine)
      let words = command.split(separator: " ").map(String.init)
      scene.commandLine = QEMUCommandLine(program: words[0], arguments: Array(words.dropFirst()))
      return Investigator.verdict(on: scene).cause
    }
    #expect(cause("qemu-system-x86_64 -accel kvm -cpu Haswell")?.id == "paging.reserved-bit")
    #expect(cause("qemu-system-x86_64 -accel kvm -cpu Haswell")?.confidence == .possible)
    #expect(cause("qemu-system-x86_64 -accel kvm -cpu Haswell,+pdpe1gb") == nil)
    #expect(cause("qemu-system-x86_64 -accel kvm -cpu Haswell", data: "extra data[0]: 0x0000000000000000\n") == nil)
  }
}
