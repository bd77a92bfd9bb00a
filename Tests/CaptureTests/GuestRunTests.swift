import Foundation
import Glibc
import QEMU
import SystemPackage
import Testing
import X86

@testable import Capture

/// Real runs of Debian's QEMU with guests of one sector, under TCG unless a test says otherwise.
@Suite(.serialized) struct GuestRunTests {
  /// One run and what was seen of it.
  struct Run {
    var outcome: GuestOutcome
    var frozen: [GuestEnding] = []
  }

  func options() -> GuestRun.Options {
    var options = GuestRun.Options()
    options.forwardsStandardError = false
    options.timeLimit = .seconds(120)
    return options
  }

  private func command(_ sector: String, _ more: [String], machine: String = "pc") -> QEMUCommandLine {
    QEMUCommandLine(
      program: "qemu-system-x86_64",
      arguments: [
        "-nodefaults", "-display", "none", "-machine", machine, "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-drive", "if=floppy,format=raw,readonly=on,file=\(sector)", "-boot", "a",
      ] + more)
  }

  func run(
    _ sector: BootSector, _ more: [String] = [], options changed: GuestRun.Options? = nil,
    examine: @escaping (GuestScene) throws -> Resumption = { _ in .carryOn }
  ) throws -> Run {
    try sector.withFile { file in
      var frozen: [GuestEnding] = []
      var failure: (any Error)?
      let mark = "inquest-\(UUID().uuidString)"
      let line = command(file, ["-name", mark] + more)
      let outcome = try GuestRun(line, options: changed ?? options()).run { scene in
        frozen.append(scene.ending)
        do { return try examine(scene) } catch { failure = error }
        return .end
      }
      if let failure { throw failure }
      #expect(processes(with: mark).isEmpty, "QEMU still runs")
      return Run(outcome: outcome, frozen: frozen)
    }
  }

  /// The processes with a word in their command line.
  func processes(with word: String) -> [String] {
    directoryEntries("/proc").filter { name in
      guard Int(name) != nil, let text = try? wholeText(FilePath("/proc/\(name)/cmdline")) else { return false }
      return text.contains(word)
    }
  }

  // MARK: Looks

  @Test func `a loop is stopped at its breakpoints in turn, as often as is wanted, and then goes on`() throws {
    var options = options()
    options.breakpoints = [LinearAddress(0x7C06), LinearAddress(0x7C09)]
    options.visitsPerBreakpoint = 3
    var visits: [GuestMoment] = []
    func run(until most: Int) throws -> GuestEnding {
      visits = []
      return try BootSector.loop.withFile { file in
        try GuestRun(command(file, ["-accel", "tcg"]), options: options).run(look: { moment, _ in
          visits.append(moment)
          return visits.count == most ? .end : .carryOn
        }) { _ in .end }.ending
      }
    }
    #expect(try run(until: .max) == .exited(status: 85))
    #expect(visits == (0..<3).flatMap { _ in options.breakpoints.map(GuestMoment.reached) })
    #expect(try run(until: 2) == .exited(status: 0))
    #expect(visits.count == 2)
  }

  @Test func `TCG lists the code that it comes to`() throws {
    var options = options()
    options.listsCode = true
    let log = try run(.loop, ["-accel", "tcg"], options: options).outcome.scene.log
    let listings = QEMULog.parse(utf8: log).compactMap { entry in
      if case .codeListing(let listing) = entry.message { listing } else { nil }
    }
    #expect(listings.contains { $0.lines.contains { $0.address == 0x7C06 && $0.bytes == [0x0F, 0x22, 0xC0] } })
  }

  // MARK: Ends that QEMU makes

  @Test(arguments: [
    ["-m", "16"], ["-m", "16", "-smp", "2"], ["-m", "5G"], ["-m", "16", "-no-reboot", "-no-shutdown"], [],
    ["-m", "16", "-machine", "q35"],
  ]) func `memory outlives the exit that a guest makes in QEMU`(more: [String]) throws {
    let run = try run(.debugExit, more)
    #expect(run.outcome.ending == .exited(status: 85))
    #expect(run.outcome.processEnd == .exited(status: 85))
    #expect(run.frozen.isEmpty)
    let memory = run.outcome.scene.memory
    #expect(memory.isShared)
    #expect(try memory.loadUInt32(at: PhysicalAddress(0x8000)) & 0xFFFF == 0x1234)
    #expect(run.outcome.scene.registers == nil)
  }

  @Test func `memory above 4 GiB is where the map says`() throws {
    let run = try run(.debugExit, ["-m", "5G"])
    let memory = run.outcome.scene.memory
    let high = try #require(memory.map?.range(at: PhysicalAddress(0x1_0000_0000)))
    #expect(high.name == SharedRAM.blockName)
    #expect(try memory.loadUInt64(at: high.first) == 0)
    #expect(throws: UnavailableMemory.self) { try memory.loadUInt64(at: PhysicalAddress(0x8_0000_0000)) }
  }

  @Test func `an ACPI power-off is shown and then ends QEMU as before`() throws {
    let run = try run(.powerOff)
    #expect(run.frozen == [.poweroff])
    #expect(run.outcome.ending == .poweroff)
    #expect(run.outcome.scene.shutdownCause == .guestShutdown)
    #expect(run.outcome.processEnd == .exited(status: 0))
  }

  // MARK: Resets

  @Test(arguments: [[], ["-smp", "2"]]) func `a reset is held back, shown, and carried out`(more: [String]) throws {
    let run = try run(.resetOnce, more) { scene throws in
      #expect(scene.registers?.contains("EIP=") == true)
      return .carryOn
    }
    // SeaBIOS, woken by the first, resets once more: its log says "Attempting a hard reboot". Plain QEMU does the same.
    #expect(run.frozen == [.reset, .reset])
    #expect(run.outcome.ending == .exited(status: 43))
  }

  @Test func `with -no-reboot a reset ends QEMU`() throws {
    let run = try run(.resetOnce, ["-no-reboot"])
    #expect(run.frozen == [.reset])
    #expect(run.outcome.ending == .reset)
    #expect(run.outcome.processEnd == .exited(status: 0))
  }

  @Test func `a triple fault leaves registers, memory and TCG's word for it`() throws {
    let run = try run(.tripleFault) { scene throws in
      #expect(scene.shutdownCause == .guestReset)
      #expect(scene.registers?.contains("EIP=00007c06") == true)
      #expect(String(decoding: scene.log, as: UTF8.self).contains("Triple fault\n"))
      // The boot sector in RAM, and the reset vector in ROM, which only the monitor can give.
      #expect(try scene.memory.loadUInt32(at: PhysicalAddress(0x7C00)) == 0x1E01_0FFA)
      #expect(try scene.memory.loadUInt32(at: PhysicalAddress(0xFFFF_FFF0)) & 0xFF == 0xEA)
      let device = #expect(throws: UnavailableMemory.self) {
        try scene.memory.loadUInt32(at: PhysicalAddress(0xFEE0_0000))
      }
      #expect(device?.reason == .device)
      return .end
    }
    #expect(run.frozen == [.reset])
    #expect(run.outcome.ending == .reset)
    #expect(try run.outcome.scene.memory.loadUInt32(at: PhysicalAddress(0x7C00)) == 0x1E01_0FFA)
  }

  @Test func `memory that is not shared is read from QEMU's process as long as it is there`() throws {
    var unshared = options()
    unshared.sharesMemory = false
    let run = try run(.tripleFault, options: unshared) { scene throws in
      #expect(!scene.memory.isShared)
      #expect(try scene.memory.loadUInt32(at: PhysicalAddress(0x7C00)) == 0x1E01_0FFA)
      #expect(try scene.memory.loadUInt64(at: PhysicalAddress(0x7FFC)) == 0)
      // In one piece, as a search reads.
      var large = [UInt8](repeating: 0, count: 0x2_0000)
      var span = large.mutableSpan
      try scene.memory.read(PhysicalAddress(0), into: &span)
      #expect(large[0x7C00...].starts(with: [0xFA, 0x0F, 0x01, 0x1E]))
      return .end
    }
    // What was read stays, what was not cannot be had any more.
    #expect(throws: UnavailableMemory.self) {
      try run.outcome.scene.memory.loadUInt32(at: PhysicalAddress(0x7C00))
    }
  }

  @Test(arguments: [
    ([], true), (["-accel", "kvm"], false), (["-enable-kvm", "-device", "isa-debug-exit"], true),
    (["-machine", "q35,accel=kvm:tcg"], false), (["-accel", "tcg"], true),
  ]) func `memory is shared where that costs nothing or nothing else keeps it`(words: [String], isWorth: Bool) {
    #expect(QEMUCommandLine(program: "qemu-system-x86_64", arguments: words).isWorthSharingMemory == isWorth)
  }

  @Test func `TCG logs all registers where it is asked to`() throws {
    var logging = options()
    logging.loggedAddresses = [0x7C00]
    let log = String(decoding: try run(.debugExit, options: logging).outcome.scene.log, as: UTF8.self)
    #expect(log.contains("EIP=00007c00"))
  }

  @Test func `a log without end is kept to its tail`() throws {
    var logging = options()
    logging.loggedAddresses = [0x7C09]
    // All of it would be 15 MB.
    let run = try run(.loop, options: logging)
    #expect(run.outcome.ending == .exited(status: 85))
    #expect(run.outcome.scene.log.count <= 1 << 20)
    #expect(String(decoding: run.outcome.scene.log, as: UTF8.self).contains("EIP=00007c09"))
  }

  @Test func `a log that the user asked for is left to him`() throws {
    let run = try run(.tripleFault, ["-d", "cpu_reset"]) { scene throws in
      #expect(scene.log.isEmpty)
      return .end
    }
    #expect(String(decoding: run.outcome.scene.standardError, as: UTF8.self).contains("Triple fault"))
  }

  @Test(arguments: [
    ["-object", "memory-backend-ram,id=mine,size=16M", "-machine", "memory-backend=mine", "-m", "16"],
    ["-m", "16", "-object", "memory-backend-ram,id=mine,size=16M", "-numa", "node,memdev=mine"],
  ]) func `memory that the user arranged is left as it is`(more: [String]) throws {
    let run = try run(.tripleFault, more) { scene throws in
      #expect(!scene.memory.isShared)
      #expect(try scene.memory.loadUInt32(at: PhysicalAddress(0x7C00)) == 0x1E01_0FFA)
      return .end
    }
    #expect(run.outcome.ending == .reset)
  }

  // MARK: Limits and signals

  @Test func `a guest that goes on is stopped at the time limit`() throws {
    var limited = options()
    limited.timeLimit = .seconds(1)
    let run = try run(.hang, options: limited) { scene throws in
      #expect(scene.registers?.contains("CPU#0") == true)
      return .carryOn
    }
    #expect(run.frozen == [.timedOut])
    #expect(run.outcome.ending == .timedOut)
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP]) func `a signal ends QEMU and then the run`(signal: Int32) throws {
    let runner = pthread_self()
    let run = try runHanging { _ in pthread_kill(runner, signal) }
    #expect(run.ending == .interrupted(signal: signal))
    // QEMU leaves in good order, or by the signal itself where it has not come so far as to handle it.
    #expect([.exited(status: 0), .signalled(SIGTERM)].contains(run.processEnd))
  }

  @Test func `a QEMU that is killed is reported so`() throws {
    let run = try runHanging { process in kill(process, SIGKILL) }
    #expect(run.processEnd == .signalled(SIGKILL))
  }

  /// Runs a guest that never ends, and calls `act` from another thread once its QEMU is there.
  private func runHanging(_ act: @escaping @Sendable (Int32) -> Void) throws -> GuestOutcome {
    try BootSector.hang.withFile { file in
      let mark = "inquest-\(UUID().uuidString)"
      let other = Thread {
        while true {
          // QEMU is known by its own mark, so that nothing else can be hit; the child before its exec has none.
          if let process = processes(with: mark).first.flatMap({ Int32($0) }) { return act(process) }
          usleep(10_000)
        }
      }
      other.start()
      let outcome = try GuestRun(command(file, ["-name", mark]), options: options()).run { _ in .carryOn }
      #expect(processes(with: mark).isEmpty, "QEMU still runs")
      return outcome
    }
  }

  // MARK: QEMU that does not start

  @Test(arguments: [
    (["-nosuchoption"], "-nosuchoption"), (["-machine", "nosuch"], "unsupported machine type"),
    (["-cpu", "nosuch"], "nosuch"),
    (["-drive", "file=/nonexistent/disk.img,format=raw"], "/nonexistent/disk.img"), (["-m", "12x"], "12x"),
    (["-device", "nosuch"], "nosuch"),
  ]) func `options that QEMU refuses`(more: [String], word: String) throws {
    let run = try run(.hang, more)
    #expect(run.outcome.ending == .refusedToStart(.exited(status: 1)))
    #expect(String(decoding: run.outcome.scene.standardError, as: UTF8.self).contains(word))
    #expect(run.frozen.isEmpty)
  }

  @Test func `a program that does not exist`() {
    let line = QEMUCommandLine(program: "/nonexistent/qemu-system-x86_64", arguments: [])
    let error = #expect(throws: CaptureError.self) { try GuestRun(line, options: options()).run { _ in .end } }
    #expect(error == .cannotStart(program: "/nonexistent/qemu-system-x86_64", errno: ENOENT))
  }

  @Test func `a program that is not QEMU`() throws {
    let line = QEMUCommandLine(program: "true", arguments: [])
    let outcome = try GuestRun(line, options: options()).run { _ in .end }
    #expect(outcome.ending == .refusedToStart(.exited(status: 0)))
  }

  @Test func `QEMU as a daemon is out of reach`() {
    let line = QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-daemonize"])
    #expect(throws: CaptureError.unsupportedOption("-daemonize")) {
      try GuestRun(line, options: options()).run { _ in .end }
    }
  }

  // MARK: Nothing left

  /// In a process of its own: other tests beside this one hold descriptors of the same kinds.
  @Test func `no descriptor and no signal mask stays behind`() async {
    await #expect(processExitsWith: .success) {
      let before = Self.blockedSignals()
      _ = try GuestRunTests().run(.debugExit)
      #expect(Self.openOnesOfOurs() == [])
      #expect(Self.blockedSignals() == before)
    }
  }

  private static func blockedSignals() -> [Int32] {
    var mask = sigset_t()
    unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
    return [SIGINT, SIGTERM, SIGHUP].filter { unsafe sigismember(&mask, $0) == 1 }
  }

  private static func openOnesOfOurs() -> [String] {
    directoryEntries("/proc/self/fd").compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
    }.filter { $0.contains(SharedRAM.blockName) || $0.contains("perf_event") || $0.contains("signalfd") }
  }

  // MARK: What QEMU says of the guest

  @Test(arguments: [("Haswell", false), ("Haswell,+pdpe1gb", true), ("max", true)])
  func `the CPU's effective features are known even after QEMU has gone`(cpu: String, hasGiantPages: Bool) throws {
    let identity = try #require(try run(.debugExit, ["-cpu", cpu]).outcome.scene.identity)
    #expect(identity.features?.has(.pdpe1gb) == hasGiantPages)
    #expect(identity.physicalAddressBits == 40)
    #expect(identity.usesKVM == false)
    #expect(identity.version.major >= 6)
  }
}
