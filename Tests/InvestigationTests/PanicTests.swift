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
