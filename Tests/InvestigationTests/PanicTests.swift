import GuestMemory
import Investigation
import QEMU
import Testing
import X86

@Suite("Kernels that panicked")
struct PanicTests {
  /// A scene with 2 MiB of RAM that holds `texts`, each at its address, mapped where Linux has its image and executes.
  private func scene(
    _ ending: Ending, rip: UInt64 = 0xFFFF_FFFF_8010_0010, _ texts: [UInt64: String]
  ) -> Scene {
    var memory = SparseMemory()
    for page in UInt64(0)..<512 {
      memory.insert(page: [UInt8](repeating: 0, count: 4096), at: PhysicalAddress(page << 12))
    }
    memory.store(0x7003, at: 0x6000 + 511 * 8)
    memory.store(0x8003, at: 0x7000 + 510 * 8)
    memory.store(0x83, at: 0x8000)
    // PAUSE and a jump back to it, with interrupts on: panic() waits so, or reboots.
    memory.store([UInt8](repeating: 0x90, count: 16) + [0xF3, 0x90, 0xEB, 0xFC], at: 0x10_0000)
    for (address, text) in texts { memory.store(Array(text.utf8), at: address) }
    var scene = Scene(ending: ending)
    scene.memory = memory
    var state = Story.state(rip: rip, cr3: 0x6000)
    state.rflags.insert(.interruptEnable)
    state.cs = SmallGuest.segment(8, 0x00AF_9B00)
    scene.processors = [Story.processor(state)]
    scene.memoryMap = MemoryMap(ranges: [
      MemoryMap.Range(
        first: PhysicalAddress(0), last: PhysicalAddress(0x1F_FFFF), kind: .ram, name: "pc.ram", offset: 0)
    ])
    return scene
  }

  private let message = "Kernel panic - not syncing: Attempted to kill init!"

  @Test("pvpanic and the message in memory make the cause")
  func panic() throws {
    let verdict = Investigator.verdict(
      on: scene(
        .panicked, [0x3000: "\(message)xyz\n", 0x10_2F00: "\(message)\n", 0x5000: "Kernel panic - not syncing: %s\n"]))
    #expect(verdict.outcome == .died)
    #expect(verdict.cause?.id == "guest.panic")
    #expect(verdict.cause?.summary.contains("physical 0x102f00") == true)
    #expect(verdict.cause?.summary.contains("\"Attempted to kill init!\"") == true)
  }

  @Test(
    "the message alone tells of a guest that reset the machine, or stayed",
    arguments: [
      (Ending.reset, true, Outcome.died), (.timedOut, true, .hung), (.stalled, true, .hung),
      (.reset, false, .undetermined),
    ])
  func seen(_ ending: Ending, _ isThere: Bool, _ outcome: Outcome) {
    let verdict = Investigator.verdict(on: scene(ending, [0xF_FF00: isThere ? "\(message) ]---" : "end Kernel panic"]))
    #expect(verdict.outcome == outcome)
    #expect((verdict.cause?.id == "guest.panic") == isThere)
    if isThere {
      #expect(verdict.cause?.confidence == .likely)
      #expect(verdict.cause?.summary.contains("\"Attempted to kill init!\"") == true)
    }
  }

  @Test(
    "of a record of the log, what was left behind the text is no part of it",
    arguments: [
      ("\0\(prefix)sysrq triggered crashsh\n", "sysrq triggered crash"),
      ("\0\(prefix)exitcode=0x0000030000\n", "exitcode=0x00000300"),
      // A line that was printed, and one that ends in no newline, have nothing behind the text.
      ("] \(prefix)exitcode=0x00000000\n", "exitcode=0x00000000"),
      ("\0\(prefix)exitcode=0x00000000\0", "exitcode=0x00000000"),
      ("\0\(prefix)of that\n", "of that"),
    ])
  func record(_ bytes: String, _ message: String) {
    let verdict = Investigator.verdict(on: scene(.reset, [0x3000: bytes]))
    #expect(verdict.cause?.summary.contains("\"\(message)\"") == true)
  }

  /// Records as the ring has them, the first at `address`.
  private func records(_ lines: [String], longSize: Int, identifier: UInt64) -> [UInt8] {
    lines.enumerated().reduce(into: []) { bytes, line in
      let number = identifier &+ UInt64(line.offset)
      bytes += (0..<longSize).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) } + Array(line.element.utf8)
      bytes += [UInt8](repeating: 0, count: (longSize - bytes.count % longSize) % longSize)
    }
  }

  private static let oops = [
    "BUG: kernel NULL pointer dereference, address: 0000000000000008", "#PF: supervisor write access in kernel mode",
    "Oops: 0002 [#1] PREEMPT SMP NOPTI", "RIP: 0010:deeper+0x5/0x10 [die]", "Code: 00 00 <c7> 07 2a 00 00 00 c3",
    "RDX: 0000000000000000 RSI: ffffffffc04b9098 RDI: 0000000000000008", "Call Trace:", " die_init+0x3b/0x1000 [die]",
    "---[ end trace 0000000000000000 ]---",
  ]

  private func scene(_ ending: Ending, _ lines: [String], identifier: UInt64 = 0x3FFF_FFFF_FFFF_F204) -> Scene {
    var scene = scene(ending, [:])
    guard var memory = scene.memory as? SparseMemory else { return scene }
    // Before the first record lies something else.
    memory.store([UInt8](repeating: 0xAA, count: 64) + records(lines, longSize: 8, identifier: identifier), at: 0x3040)
    scene.memory = memory
    return scene
  }

  @Test(
    "what the log says of an error before the panic is quoted",
    arguments: [Ending.reset, .timedOut, .panicked, .unknown])
  func errorBeforePanic(_ ending: Ending) {
    let verdict = Investigator.verdict(on: scene(ending, Self.oops + ["\(Self.prefix)Fatal exception"]))
    #expect(verdict.cause?.id == "guest.panic")
    for words in [
      "deeper+0x5/0x10 [die]", "with RDI 0x8", "called from die_init+0x3b/0x1000 [die]", "BUG: kernel NULL",
    ] {
      #expect(verdict.cause?.summary.contains(words) == true, "\(words)")
      #expect(verdict.evidence.contains { $0.text.contains(words) })
    }
  }

  @Test("a dump does not show EFER: the kernel's data is found all the same where it may not be executed")
  func withoutEFER() {
    var scene = scene(.unknown, Self.oops + ["\(Self.prefix)Fatal exception"])
    guard var memory = scene.memory as? SparseMemory else { return }
    // Nor MAXPHYADDR, and tables may lie above what every processor has.
    memory.insert(page: [UInt8](repeating: 0, count: 4096), at: PhysicalAddress(0x80_0000_8000))
    memory.store(UInt64(0x80_0000_8003), at: 0x7000 + 510 * 8)
    memory.store(UInt64(1) << 63 | 0x83, at: 0x80_0000_8000)
    scene.memory = memory
    scene.processors[0].state.efer = nil
    #expect(Investigator.verdict(on: scene).cause?.id == "guest.panic")
  }

  @Test(
    "of a text a panic is the guest's where the kernel says that it runs in a virtual machine",
    arguments: [true, false])
  func inText(_ isVirtual: Bool) {
    let name = isVirtual ? "QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2" : "Dell Inc. PowerEdge R640/0H28RR"
    let lines = Self.oops[..<3] + ["Hardware name: \(name)"] + Self.oops[3...] + ["\(Self.prefix)Fatal exception"]
    var scene = Scene()
    scene.log = Sourced.messages(
      of: QEMULog.parse(lines.map { "[    2.070000] \($0)" }.joined(separator: "\n")), named: "serial.log")
    let verdict = Investigator.verdict(on: scene)
    #expect((verdict.cause?.id == "guest.panic") == isVirtual)
    #expect(verdict.cause?.summary.contains("deeper+0x5/0x10 [die]") ?? !isVirtual)
    #expect((verdict.outcome == .undetermined) == !isVirtual)
  }

  @Test("a processor that cannot go on, in a dump alone, is dead or as good as that; in a log it may have gone on")
  func cannotGoOn() {
    var scene = scene(.unknown, [:])
    guard var memory = scene.memory as? SparseMemory else { return }
    memory.store([0xCC], at: 0x10_0010)  // int3
    scene.memory = memory
    scene.processors[0].state.efer = nil
    scene.processors[0].state.idtr.limit = 0
    scene.processors[0].source = .file("guest.elf")
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    #expect(verdict.cause?.id == "instruction.trap")
    #expect(verdict.cause?.confidence == .likely)
    scene.processors[0].source = .log(name: "qemu.log", line: 1)
    #expect(Investigator.verdict(on: scene).outcome == .undetermined)
  }

  @Test("the lines before a panic without an error are evidence, those of other memory are not")
  func linesBeforePanic() {
    let lines = ["a line of long ago", "one", "VFS: Cannot open root device", "three", "\(Self.prefix)VFS: Unable"]
    let verdict = Investigator.verdict(on: scene(.timedOut, lines))
    #expect(verdict.evidence.contains { $0.text.contains("\"one\", \"VFS: Cannot open root device\", \"three\"") })
    #expect(verdict.cause?.summary.contains("VFS: Cannot") == false)
    let broken = Investigator.verdict(on: scene(.timedOut, [0x3000: "two\0\0\0\0\0\(Self.prefix)VFS: Unable"]))
    #expect(broken.cause?.id == "guest.panic")
    #expect(!broken.evidence.contains { $0.text.contains("says before that") })
  }

  @Test("an error that was no panic is seen of a guest that stands still; a warning is not")
  func errorWithoutPanic() {
    let verdict = Investigator.verdict(on: scene(.timedOut, ["Freeing"] + Self.oops))
    #expect(verdict.outcome == .undetermined)
    #expect(verdict.cause == nil)
    #expect(verdict.observations.contains { $0.text.contains("deeper+0x5/0x10") })
    let lockup = Investigator.verdict(
      on: scene(.stalled, ["x", "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]"]))
    #expect(lockup.observations.contains { $0.text.contains("soft lockup - CPU#0 stuck for 26s!") })
    let old = [
      "x", "BUG: unable to handle page fault for address: 00000042", "EIP: f+0x8/0x10 [m]", "---[ end trace 0 ]---",
    ]
    let words = "\"BUG: unable to handle page fault for address: 00000042\", \"EIP: f+0x8/0x10 [m]\""
    #expect(Investigator.verdict(on: scene(.timedOut, old)).observations.contains { $0.text.contains(words) })
    let warning = ["WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2"] + Self.oops.dropFirst(3)
    #expect(!Investigator.verdict(on: scene(.timedOut, warning)).observations.contains { $0.text.contains("deeper") })
    let ended = Investigator.verdict(on: scene(.poweredOff, Self.oops))
    #expect(!ended.observations.contains { $0.text.contains("deeper") })
  }

  @Test(
    "how init ended is read from the status in the message",
    arguments: [
      ("0x00000300", "ended by itself, with status 3", false), ("0x00000004", "ended by signal 4 (SIGILL", true),
      ("0x0000008b", "ended by signal 11 (SIGSEGV", false), ("0x00000009", "ended by signal 9.", false),
    ])
  func endOfInit(_ status: String, _ words: String, _ isOfProcessor: Bool) {
    let verdict = Investigator.verdict(on: scene(.reset, [0x3000: "] \(message) exitcode=\(status)\n"]))
    #expect(verdict.cause?.summary.contains(words) == true)
    #expect(verdict.remedies.contains { $0.change.hasPrefix("-cpu") } == isOfProcessor)
  }

  private static let prefix = "Kernel panic - not syncing: "

  @Test("a guest that executes elsewhere is no Linux, and is not searched")
  func elsewhere() {
    let verdict = Investigator.verdict(on: scene(.reset, rip: 0x10_0000, [0x3000: message]))
    #expect(!verdict.observations.contains { $0.text.contains("panicked") })
  }

  @Test("a guest that turned itself off is not searched")
  func poweredOff() {
    let verdict = Investigator.verdict(on: scene(.poweredOff, [0x3000: message]))
    #expect(!verdict.observations.contains { $0.text.contains("panicked") })
  }
}
