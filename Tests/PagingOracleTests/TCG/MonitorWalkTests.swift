import QEMU
import SeededRandom
import Testing
import X86

@testable import Capture

/// The library's walk held against what QEMU's monitor says of tables that the test builds, in every mode.
///
/// The monitor's walk is not TCG's own, which ``TCGWalkTests`` asks; see ``DebugWalk`` for what it ignores.
/// `INQUEST_TCG_CASES` sets how many cases are drawn, `INQUEST_ORACLE_SEED` from which seed.
@Suite("TCG's monitor as oracle", .serialized)
struct MonitorWalkTests {
  static let pages = 32
  static let casesPerProcessor = 100

  /// Tables of one processor, of which the monitor is asked.
  struct World {
    let machine: TCGMachine
    var coverage = OracleCoverage()
    var differences: [String] = []
    var done = 0

    /// Draws a processor and tables and hands them to QEMU.
    mutating func draw(
      using generator: inout SeededGenerator
    ) throws -> (processor: RandomProcessor, paging: Paging, tables: RandomTables) {
      let processor = RandomProcessor(
        cpuid: machine.cpuid, modes: PagingMode.allCases, pages: MonitorWalkTests.pages, using: &generator)
      let tables = RandomTables(pages: MonitorWalkTests.pages, isTwoLevel: processor.mode == .twoLevel)
      for page in 0..<MonitorWalkTests.pages { machine.ram.clear(page: page) }
      tables.fill(machine.ram, cr3: processor.cr3, isPAE: processor.mode == .pae, using: &generator)
      try machine.set(processor)
      if try !machine.agrees(with: processor) { differences.append("registers not taken: \(processor)") }
      let rules = PagingRules(cpuid: processor.cpuid, efer: processor.efer)
      return (processor, processor.paging(machine.walker, WalkerInputs(guest: rules), pdpteRegisters: nil), tables)
    }

    /// Asks for one address.
    mutating func ask(_ address: UInt64, _ paging: Paging) throws {
      let walk = DebugWalk.translation.walk(paging, LinearAddress(address), in: machine.memory)
      done += 1
      coverage.count(walk)
      // A table on a device is read by the monitor.
      if walk.judgement == .undecided { return }
      let text = try machine.monitor.monitor("gva2gpa " + address.hexadecimal)
      // The address is `0x1000`, and `0` without a prefix.
      let digits = text.dropFirst(text.hasPrefix("gpa: 0x") ? 7 : 5).prefix { $0.isHexDigit }
      let answer = text.hasPrefix("gpa: ") ? UInt64(digits, radix: 16) : nil
      if answer != walk.outcome.physicalAddress?.rawValue || answer == nil && !text.hasPrefix("Unmapped") {
        differences.append("QEMU: \(text); \(walk.account)")
      }
    }

    /// Asks for the whole address space, and returns how many pages it has: each page that QEMU lists must be one to the
    /// model, and each of `addresses` that is mapped must be listed.
    mutating func askForAll(_ paging: Paging, _ addresses: [UInt64]) throws -> Int {
      let text = try machine.monitor.monitor("info tlb")
      let lines = text.split(whereSeparator: \.isNewline)
      if paging.mode == .none {
        if lines != ["PG disabled"] { differences.append("QEMU: \(text)") }
        return 0
      }
      var listed: [UInt64: TLBLine] = [:]
      for line in lines {
        guard let line = TLBLine(line) else {
          differences.append("QEMU: \(line)")
          continue
        }
        listed[line.address] = line
        compare(line, paging, line.address)
      }
      for address in addresses {
        guard let expected = compare(nil, paging, address), listed[expected.address] != expected else { continue }
        differences.append("not listed: \(expected)")
      }
      return listed.count
    }

    /// What the model makes of an address; a difference if it is not that line.
    @discardableResult
    private mutating func compare(_ line: TLBLine?, _ paging: Paging, _ address: UInt64) -> TLBLine? {
      let walk = DebugWalk.listing.walk(paging, LinearAddress(address), in: machine.memory)
      let expected = TLBLine(walk, in: machine.memory)
      if let line, walk.judgement != .undecided, line != expected {
        differences.append("QEMU: \(line), \(walk.account)")
      }
      return expected
    }
  }

  @Test("Random tables, every mode: info tlb lists the pages that the model finds")
  func infoTLBAgrees() throws {
    let spaces = OracleSetting.number("INQUEST_TCG_CASES").map { $0 / 1000 } ?? 40
    var generator = SeededGenerator(seed: OracleSetting.seed)
    var world = World(machine: try TCGMachine(cpu: "max,phys-bits=46", pages: 4096))
    var pages = 0
    for _ in 0..<spaces {
      let (processor, paging, tables) = try world.draw(using: &generator)
      pages += try world.askForAll(paging, tables.addresses(processor.mode))
    }
    print("TCG's monitor: seed \(OracleSetting.seed), info tlb of \(spaces) address spaces with \(pages) pages")
    for difference in world.differences.prefix(10) { Issue.record("seed \(OracleSetting.seed), \(difference)") }
    #expect(world.differences.isEmpty)
    #expect(pages > spaces)
  }

  @Test("Random tables, every mode: gva2gpa and the model agree")
  func gva2gpaAgrees() throws {
    let cases = OracleSetting.number("INQUEST_TCG_CASES").map { $0 / 10 } ?? 6000
    var generator = SeededGenerator(seed: OracleSetting.seed)
    var world = World(machine: try TCGMachine(cpu: "max,phys-bits=46", pages: 4096))
    while world.done < cases {
      let (processor, paging, tables) = try world.draw(using: &generator)
      for number in 0..<Self.casesPerProcessor {
        if number % 4 == 3 { tables.change(world.machine.ram, using: &generator) }
        try world.ask(tables.address(processor.mode, using: &generator), paging)
      }
    }
    print("TCG's monitor: \(world.machine.walker), seed \(OracleSetting.seed), gva2gpa of \(world.done) addresses")
    world.coverage.print()
    for difference in world.differences.prefix(10) { Issue.record("seed \(OracleSetting.seed), \(difference)") }
    #expect(world.differences.isEmpty)
  }
}
