import Investigation
import QEMU
import Testing
import X86

/// What a log of `-d int` with its dumps tells, without memory and without the guest's image.
@Suite("chains of logged exceptions with registers")
struct LoggedChainTests {
  /// A line and its dump, as TCG writes them.
  private struct Event {
    var vector: UInt8
    var code: UInt32 = 0
    var old: UInt8?
    var isOfDevice = false
    var isSoftware = false
    var change: (inout ProcessorState) -> Void = { _ in }

    func text(_ number: Int) -> String {
      var state = SmallGuest().state
      state.idtr.limit = 0xFFF
      state.generalPurpose.rsp = 0x9000
      change(&state)
      func hex(_ value: UInt64, _ digits: Int) -> String { RegisterDumpText.hex(value, digits) }
      let check =
        vector < 32 && !isOfDevice
        ? "check_exception old: 0x\(old.map { String($0, radix: 16) } ?? "ffffffff") new 0x\(String(vector, radix: 16))\n"
        : ""
      let announcement = isOfDevice ? "Servicing hardware INT=0x\(hex(UInt64(vector), 2))\n" : ""
      let last =
        vector == 14
        ? "CR2=\(hex(state.cr2, 16))" : "env->regs[R_EAX]=\(hex(state.generalPurpose.rax, 16))"
      let level = state.currentPrivilegeLevel ?? 0
      let line =
        "     \(number): v=\(hex(UInt64(vector), 2)) e=\(hex(UInt64(code), 4)) i=\(isSoftware ? 1 : 0) cpl=\(level) "
        + "IP=\(hex(UInt64(state.cs.selector.rawValue), 4)):\(hex(state.rip, 16)) pc=\(hex(state.rip, 16)) "
        + "SP=\(hex(UInt64(state.ss.selector.rawValue), 4)):\(hex(state.generalPurpose.rsp, 16)) \(last)"
      return check + announcement + ([line] + RegisterDumpText(state).lines).joined(separator: "\n") + "\n"
    }
  }

  private func verdict(_ events: [Event], listing: String = "", isTripleFault: Bool = true) -> Verdict {
    let end = isTripleFault ? "check_exception old: 0x8 new 0xd\nTriple fault\n" : ""
    let text = listing + events.enumerated().map { $1.text($0) }.joined() + end
    var scene = Scene()
    scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
    scene.accelerator = Sourced(.tcg, .commandLine)
    let dumps = scene.log.compactMap { entry -> ProcessorState? in
      if case .registerDump(let dump) = entry.value { dump.state } else { nil }
    }
    scene.processors = dumps.last.map { [ObservedProcessor(index: 0, state: $0, source: .file("log"))] } ?? []
    return Investigator.verdict(on: scene)
  }

  /// What may read at the lower half of RSP, as a listing has it; nil without one.
  static let lowReads: [(bytes: String?, cause: String)] = [
    ("cb", "segment.bad-code-selector"), ("cf", "segment.bad-selector"), (nil, "segment.bad-code-selector"),
    ("67 48 8b 04 24", "paging.not-present"),
  ]

  @Test("a return of 32 bits, which TCG makes from the lower half of RSP", arguments: lowReads)
  func returnThroughLowStack(_ read: (bytes: String?, cause: String)) {
    let change = { (state: inout ProcessorState) in
      state.rip = 0xFFFF_FFFF_8010_0000
      state.generalPurpose.rsp = 0xFFFF_FFFF_8011_0020
      state.cr2 = 0x8011_0020
    }
    let listing =
      read.bytes.map { "----------------\nIN: \n0xffffffff80100000:  \($0)    what it is\n\n" } ?? ""
    let verdict = verdict(
      [Event(vector: 14, change: change), Event(vector: 8, old: 14, change: change)], listing: listing)
    #expect(verdict.cause?.id == read.cause, "\(verdict)")
    #expect(verdict.cause?.confidence == (read.bytes?.count == 2 ? .proven : .likely))
    #expect(verdict.cause?.summary.contains("REX.W") == (read.cause != "paging.not-present"))
  }

  private static func user(_ state: inout ProcessorState) {
    state.currentPrivilegeLevel = 3
    state.cs.selector = SegmentSelector(rawValue: 0x23)
    state.ss.selector = SegmentSelector(rawValue: 0x1B)
    state.generalPurpose.rsp = 0x40_0000
  }

  /// A timer's interrupt, and what comes of it.
  private func timer(
    _ vector: UInt8, _ code: UInt32, listing: String = "", _ change: @escaping (inout ProcessorState) -> Void = { _ in }
  ) -> Cause? {
    verdict(
      [
        Event(vector: 32, isOfDevice: true, change: change),
        Event(vector: vector, code: code, change: change),
        Event(vector: 8, old: vector, change: change),
      ], listing: listing
    ).cause
  }

  private static let jump = "0x00100000:  eb fe                    jmp      0x100000\n"
  private static let store = "0x00100000:  c6 00 00                 movb     $0, (%rax)\n"

  @Test("the exception tells what keeps an interrupt from its handler")
  func obstacles() {
    #expect(timer(13, 0x202)?.id == "interrupt.bad-gate")
    #expect(timer(11, 0x202)?.id == "interrupt.gate-not-present")
    #expect(timer(13, 0x10, listing: Self.jump)?.id == "interrupt.gate-selector")
    #expect(timer(13, 0x10, listing: Self.jump)?.confidence == .proven)
    #expect(timer(13, 0x10)?.confidence == .likely)
    #expect(timer(14, 0) { $0.cr2 = SmallGuest.idt + 0x200 }?.id == "interrupt.idt-not-mapped")
    #expect(
      timer(14, 0) {
        Self.user(&$0); $0.cr2 = SmallGuest.tss + 4
      }?.id == "interrupt.tss-not-mapped")
    #expect(
      timer(14, 2) {
        Self.user(&$0); $0.cr2 = .max - 7
      }?.id == "interrupt.rsp0-stack")
    #expect(timer(14, 2) { $0.cr2 = .max - 7 }?.id == "interrupt.ist-stack")
    #expect(timer(14, 2) { $0.cr2 = 0x8FF8 }?.id == "stack.not-writable")
    #expect(
      timer(12, 0) {
        Self.user(&$0); $0.tr.selector = SegmentSelector(rawValue: 0)
      }?.id == "interrupt.tss-missing")
    #expect(timer(12, 0) { Self.user(&$0) }?.id == "interrupt.rsp0-stack")
  }

  @Test("where the instruction itself can have raised it, an interrupt that was handled is not blamed")
  func handled() {
    let verdict = verdict(
      [
        Event(vector: 32, isOfDevice: true) { $0.generalPurpose.rax = 0x5000_0000 },
        Event(vector: 14, code: 2) { ($0.generalPurpose.rax, $0.cr2) = (0x5000_0000, 0x5000_0000) },
        Event(vector: 8, old: 14) { ($0.generalPurpose.rax, $0.cr2) = (0x5000_0000, 0x5000_0000) },
      ], listing: Self.store)
    #expect(verdict.cause?.id == "paging.not-present")
    #expect(verdict.fault?.vector == .pageFault)
  }

  @Test("INT n needs a gate")
  func software() {
    func cause(level: Int) -> Cause? {
      let change: (inout ProcessorState) -> Void = { if level == 3 { Self.user(&$0) } }
      return verdict([
        Event(vector: 0x80, isSoftware: true, change: change), Event(vector: 13, code: 0x802, change: change),
        Event(vector: 8, old: 13, change: change),
      ]).cause
    }
    #expect(cause(level: 0)?.id == "interrupt.bad-gate")
    #expect(cause(level: 3)?.summary.contains("DPL below 3") == true)
  }

  @Test("a handler that was entered is told by the stack pointer", arguments: [0x8FD8, 0x8FD0] as [UInt64])
  func handler(pointer: UInt64) {
    let verdict = verdict([
      Event(vector: 32, isOfDevice: true),
      Event(vector: 14) { ($0.rip, $0.cr2, $0.generalPurpose.rsp) = (0x7000_0000, 0x7000_0000, pointer) },
      Event(vector: 8, old: 14) { ($0.rip, $0.cr2, $0.generalPurpose.rsp) = (0x7000_0000, 0x7000_0000, pointer) },
    ])
    #expect(verdict.cause?.id == (pointer == 0x8FD8 ? "interrupt.handler-not-mapped" : "paging.code-not-mapped"))
  }

  @Test("a frame that IRET takes from one word too low or too high is told by the selector")
  func frames() {
    let low = verdict([
      Event(vector: 14, code: 2) { $0.cr2 = 0x80_0000 },
      Event(vector: 13, code: 0) { ($0.rip, $0.generalPurpose.rsp) = (0x10_0200, 0x8FD0) },
      Event(vector: 8, old: 13) { ($0.rip, $0.generalPurpose.rsp) = (0x10_0200, 0x8FD0) },
    ])
    #expect(low.cause?.id != "interrupt.error-code-not-popped")
    func cause(_ first: Event, code: UInt32, pointer: UInt64) -> String? {
      var first = first
      first.change = {
        ($0.rip, $0.cr2) = (0x10_00B0, 0x80_0000); $0.rflags = RFLAGS(rawValue: 0x246)
      }
      return verdict([
        first,
        Event(vector: 13, code: code) { ($0.rip, $0.generalPurpose.rsp) = (0x10_0200, pointer) },
        Event(vector: 8, old: 13) { ($0.rip, $0.generalPurpose.rsp) = (0x10_0200, pointer) },
      ]).cause?.id
    }
    #expect(cause(Event(vector: 14, code: 2), code: 0xB0, pointer: 0x8FD0) == "interrupt.error-code-not-popped")
    #expect(
      cause(Event(vector: 32, isOfDevice: true), code: 0x244, pointer: 0x8FE0) == "interrupt.error-code-not-popped")
    #expect(cause(Event(vector: 14, code: 2), code: 0xB0, pointer: 0x8F00) == "segment.bad-selector")
  }

  @Test("SYSCALL is told by what it leaves in the registers")
  func systemCall() {
    func cause(_ change: @escaping (inout ProcessorState) -> Void) -> String? {
      let all: (inout ProcessorState) -> Void = { state in
        (state.rip, state.cr2, state.generalPurpose.rcx, state.generalPurpose.r11) = (0, 0, 0x40_0100, 0x202)
        state.rflags = RFLAGS(rawValue: 2)
        change(&state)
      }
      return verdict([Event(vector: 14, change: all), Event(vector: 8, old: 14, change: all)]).cause?.id
    }
    #expect(cause { _ in } == "syscall.not-set-up")
    #expect(cause { $0.generalPurpose.r11 = 0 } == "execution.null-call")
    #expect(cause { $0.cs.limit = 0 } == "execution.null-call")
    #expect(cause { $0.rflags = RFLAGS(rawValue: 0x46) } == "execution.null-call")
  }

  @Test("zeroes at the beginning of a page may be what faults, so that the page is not blamed")
  func zeroes() {
    func cause(rip: UInt64) -> Verdict {
      let change: (inout ProcessorState) -> Void = {
        ($0.rip, $0.cr2, $0.generalPurpose.rax) = (rip, 0x7000_0000, 0x7000_0000)
      }
      return verdict([Event(vector: 14, change: change), Event(vector: 8, old: 14, change: change)])
    }
    #expect(cause(rip: 0x40_0000).cause == nil)
    #expect(cause(rip: 0x40_0000).observations.contains { $0.text.contains("so do zeroes") })
    #expect(cause(rip: 0x40_0010).cause?.id == "paging.not-present")
  }

  @Test("an access that a page does not allow is named as that where the error code leaves more than one rule")
  func deniedAccess() {
    func cause(_ code: UInt32) -> String? {
      let change: (inout ProcessorState) -> Void = {
        Self.user(&$0); $0.cr2 = 0xC0_0000
      }
      return verdict([
        Event(vector: 14, code: code, change: change), Event(vector: 8, old: 14, change: change),
      ]).cause?.id
    }
    #expect(cause(7) == "paging.access-denied")
    #expect(cause(5) == "paging.supervisor-page")
  }

  /// 32-bit code without paging, as kernels have it before long mode.
  private static func flat(_ state: inout ProcessorState) {
    state.cs = SmallGuest.segment(8, 0x00CF_9B00)
    (state.cr0, state.cr4, state.efer) = ([.protectionEnable, .extensionType], [], [])
    state.cr3 = 0
  }

  /// What becomes of one instruction of 32-bit code.
  private func flatFault(
    _ listing: String, _ vector: UInt8, _ code: UInt32, _ change: @escaping (inout ProcessorState) -> Void = { _ in }
  ) -> Verdict {
    let all: (inout ProcessorState) -> Void = {
      Self.flat(&$0)
      change(&$0)
    }
    return verdict(
      [Event(vector: vector, code: code, change: all), Event(vector: 8, old: vector, change: all)], listing: listing)
  }

  private static func farJump(to selector: UInt8) -> String {
    "0x00100000:  ea 00 00 20 00 \(RegisterDumpText.hex(UInt64(selector), 2)) 00     ljmpl    $0, $0x200000\n"
  }

  @Test("a far jump of protected mode is told by its error code, and by what TR holds")
  func farJumps() {
    func cause(_ selector: UInt8, _ code: UInt32, _ change: @escaping (inout ProcessorState) -> Void = { _ in })
      -> Cause?
    {
      flatFault(Self.farJump(to: selector), 13, code, change).cause
    }
    #expect(cause(0x18, 0x18)?.id == "segment.task-switch")
    #expect(cause(0x18, 0x18)?.confidence == .likely)
    #expect(cause(0x20, 0x20)?.id == "segment.bad-selector")
    #expect(cause(0x20, 0x20) { $0.tr.selector = SegmentSelector(rawValue: 0) }?.id == "segment.bad-code-selector")
    #expect(cause(0x20, 0)?.id == "segment.bad-code-selector")
    #expect(cause(0x20, 0)?.summary.contains("long mode is not active") == false)
    let early: (inout ProcessorState) -> Void = {
      $0.cr0.formUnion(.paging)
      $0.cr4 = .physicalAddressExtension
      $0.efer = .longModeEnable
    }
    #expect(cause(0x20, 0, early)?.summary.contains("LME has to be set before PG") == true)
  }

  @Test("a fetch that fails right behind MOV CR3 is said to be that")
  func behindRoot() {
    func summary(_ listing: String) -> String? {
      let change: (inout ProcessorState) -> Void = { $0.cr2 = 0x10_0000 }
      return verdict(
        [Event(vector: 14, change: change), Event(vector: 8, old: 14, change: change)], listing: listing
      ).cause?.summary
    }
    let move = "0x000ffffd:  0f 22 d8                 movq     %rax, %cr3\n"
    #expect(summary(move)?.contains("was loaded by the instruction before") == true)
    #expect(summary("0x000ffffd:  90 90 90\n")?.contains("loaded by") == false)
  }

  @Test("a listing shows that code of 64 bits is executed in a 32-bit code segment, and not what the GDT has")
  func codeOfOtherMode() {
    let change: (inout ProcessorState) -> Void = {
      $0.cs = SmallGuest.segment(8, 0x00CF_9B00)
      $0.cr2 = 0x4000_0000
      $0.gdtr.limit = 0x17
    }
    func cause(_ code: String) -> Cause? {
      let listing = "IN: \n" + code + "0x00100000:  8a 05 00 00 00 40        movb     0x40000000, %al\n"
      return verdict(
        [Event(vector: 14, change: change), Event(vector: 8, old: 14, change: change)], listing: listing
      ).cause
    }
    let long = """
      0x000ffff2:  48                       decl     %eax
      0x000ffff3:  89 e5                    movl     %esp, %ebp
      0x000ffff5:  48                       decl     %eax
      0x000ffff6:  89 fe                    movl     %edi, %esi
      0x000ffff8:  48                       decl     %eax
      0x000ffff9:  89 75 f8                 movl     %esi, -8(%ebp)
      0x000ffffc:  48                       decl     %eax
      0x000ffffd:  8b 4d f8                 movl     -8(%ebp), %ecx

      """
    let found = cause(long)
    #expect(found?.id == "execution.other-mode")
    #expect(found?.confidence == .likely)
    #expect(found?.summary.contains("GDT") == false)
    #expect(cause(long.replacing("  48  ", with: "  90  "))?.id == "paging.not-present")
  }

  @Test("a port that a program may not use is blamed only where the log has its #GP")
  func ports() {
    let out = "0x00100000:  ee                       outb     %al, %dx\n"
    let change: (inout ProcessorState) -> Void = {
      ($0.cs, $0.currentPrivilegeLevel) = (SmallGuest.segment(0x1B, 0x00CF_FB00), 3)
    }
    #expect(flatFault(out, 13, 0, change).cause?.id == "instruction.privileged")
    #expect(flatFault(out, 13, 0x10, change).cause == nil)
    #expect(flatFault(out, 13, 0).cause == nil)
  }

  @Test("without another stack only a task gate leads to a TSS")
  func taskGate() {
    func cause(_ change: @escaping (inout ProcessorState) -> Void) -> String? {
      verdict([
        Event(vector: 0x30, isSoftware: true, change: change), Event(vector: 10, code: 0x20, change: change),
        Event(vector: 8, old: 10, change: change),
      ]).cause?.id
    }
    #expect(cause(Self.flat) == "interrupt.task-gate")
    #expect(cause { _ in } != "interrupt.task-gate")
  }

  @Test("a handler that comes into itself again and again is told by SP")
  func nesting() {
    func cause(_ count: Int, step: UInt64, isOfDevice: Bool) -> String? {
      let vector: UInt8 = isOfDevice ? 36 : 14
      let last: (inout ProcessorState) -> Void = { state in
        state.generalPurpose.rsp = 0x9000 &- UInt64(count) &* step
        state.cr2 = isOfDevice ? state.generalPurpose.rsp &- 8 : 0x80_0000
      }
      let run = (0..<count).map { number in
        Event(vector: vector, isOfDevice: isOfDevice) {
          $0.generalPurpose.rsp = 0x9000 &- UInt64(number) &* step
          $0.cr2 = 0x80_0000
        }
      }
      let end = isOfDevice ? [Event(vector: 36, isOfDevice: true, change: last)] : []
      return verdict(
        run + end + [
          Event(vector: 14, code: isOfDevice ? 2 : 0, change: last), Event(vector: 8, old: 14, change: last),
        ]
      ).cause?.id
    }
    #expect(cause(20, step: 0x30, isOfDevice: false) == "interrupt.handler-faults")
    #expect(cause(20, step: 0x30, isOfDevice: true) == "interrupt.reentered")
    #expect(cause(4, step: 0x30, isOfDevice: true) == "stack.not-writable")
    #expect(cause(4, step: 0x30, isOfDevice: false) != "interrupt.handler-faults")
  }

  @Test("an interrupt of real mode, of which TCG prints no more, is not what was being delivered long after")
  func realModeBefore() {
    let verdict = verdict(
      [Event(vector: 13, code: 0x20), Event(vector: 8, old: 13)], listing: "Servicing hardware INT=0x08\n")
    #expect(verdict.observations.allSatisfy { !$0.text.contains("while interrupt") })
    #expect(verdict.cause?.id == "segment.bad-selector")
  }

  @Test("of several runs in one log the last counts")
  func runs() {
    let first = Event(vector: 32, isOfDevice: true).text(0) + "Triple fault\nCPU Reset (CPU 0)\n"
    let verdict = verdict(
      [Event(vector: 13, code: 0x40), Event(vector: 8, old: 13)], listing: first)
    #expect(verdict.cause?.id == "segment.bad-selector")
    #expect(verdict.fault?.errorCode == 0x40)
  }

  @Test("an interrupt that comes again before anything was executed is a storm; one that a loop waits for is none")
  func storms() {
    let onward =
      "0x00100000:  90                       nop\n0x00100001:  fa                       cli\n"
      + "0x00100002:  f4                       hlt\n0x00100003:  eb fc                    jmp      0x100001\n"
    let events = [Event](repeating: Event(vector: 36, isOfDevice: true), count: 70)
    func cause(_ events: [Event], _ listing: String) -> String? {
      verdict(events, listing: listing, isTripleFault: false).cause?.id
    }
    #expect(cause(events, onward) == "hang.interrupt-storm")
    #expect(cause(events, Self.jump) == nil)
    #expect(cause(events, "") == nil)
    #expect(cause(Array(events.prefix(20)), onward) == nil)
  }

  @Test("a log that was cut off in a dump tells of a fault that repeats")
  func cutOff() {
    let faults = [Event](repeating: Event(vector: 14, code: 2) { $0.cr2 = 0x80_0000 }, count: 70)
    #expect(verdict(faults, isTripleFault: false).cause?.id == "hang.endless-fault")
  }
}
