import QEMU
import SeededRandom
import Testing
import X86

@testable import Capture

/// The library's walk held against TCG's own: a guest makes the accesses, and what it gets is what the model says, with
/// the error code and the address, and what it reads is what is there.
///
/// `INQUEST_TCG_CASES` sets how many cases are drawn, `INQUEST_ORACLE_SEED` from which seed.
@Suite("TCG as oracle", .serialized)
struct TCGWalkTests {
  static let pages = 32
  static let casesPerProcessor = 100

  /// One guest and what was learned from it.
  struct Run {
    let guest: AccessGuest
    let mode: PagingMode
    var coverage = OracleCoverage()
    var differences: [String] = []
    var done = 0
    /// What the test could not have the guest do.
    var left = 0

    init(mode: PagingMode, cpu: String) throws {
      self.mode = mode
      guest = try AccessGuest(mode: mode, cpu: cpu, pages: 4096)
      markPages()
    }

    /// The places that accesses go to: 64 bytes of each page, with contents that tell one page from another.
    static let marks = 0x100..<0x140

    private func markPages() {
      var generator = SeededGenerator(seed: 0)
      for page in 0..<(guest.program.base >> 12) {
        for offset in stride(from: Self.marks.lowerBound, to: Self.marks.upperBound, by: 8) {
          guest.machine.ram[page << 12 + offset] = generator.next()
        }
      }
    }

    /// Draws a processor and tables and has the guest make accesses.
    mutating func next(using generator: inout SeededGenerator) throws {
      var processor = RandomProcessor(
        cpuid: guest.machine.cpuid, modes: [mode], pages: TCGWalkTests.pages, using: &generator)
      // The guest itself needs paging, and its root in RAM.
      guard processor.mode == mode else { return }
      processor.cr3 &= ~(1 << 30)
      let keys = drawKeys(&processor, using: &generator)
      let tables = RandomTables(pages: TCGWalkTests.pages, isTwoLevel: mode == .twoLevel)
      tables.fill(guest.machine.ram, cr3: processor.cr3, isPAE: mode == .pae, using: &generator)
      let rules = PagingRules(cpuid: processor.cpuid, efer: processor.efer)
      var paging = processor.paging(guest.machine.walker, WalkerInputs(guest: rules), pdpteRegisters: nil)
      paging.protection.pkru = keys.pkru
      paging.protection.pkrs = keys.pkrs

      let drawn = (0..<TCGWalkTests.casesPerProcessor).map { _ in draw(tables, paging, using: &generator) }
      // The PDPTEs of PAE paging may lie where an INT3 was put.
      guest.program.enter(root: Int(processor.cr3 & (mode == .pae ? ~0x1F : ~0xFFF)))
      let cases = drawn.compactMap { walk($0, paging) }
      left += drawn.count - cases.count
      if cases.isEmpty { return }
      let answers = try guest.answers(to: cases.map(\.request), with: processor, pkru: keys.pkru, pkrs: keys.pkrs)
      for (one, answer) in zip(cases, answers) { judge(one, answer) }
      done += cases.count
    }

    /// Protection keys, which long mode alone has. The guest's own pages stay accessible to itself.
    private func drawKeys(
      _ processor: inout RandomProcessor, using generator: inout SeededGenerator
    ) -> (pkru: UInt32, pkrs: UInt32) {
      guard guest.program.isLong else { return (0, 0) }
      for bit in [CR4.protectionKeys, .supervisorProtectionKeys] where generator.oneIn(2) { processor.cr4.insert(bit) }
      let pkrs = UInt32(truncatingIfNeeded: generator.next()) & ~(3 << UInt32(2 * AccessProgram.key))
      return (UInt32(truncatingIfNeeded: generator.next()), generator.oneIn(4) ? 0 : pkrs)
    }

    // MARK: Cases

    private struct Case {
      var request: AccessGuest.Request
      var walk: PageWalk
    }

    /// An access to some place. Where it would be a fetch, INT3 is put there.
    private func draw(
      _ tables: RandomTables, _ paging: Paging, using generator: inout SeededGenerator
    ) -> AccessGuest.Request {
      var address = tables.address(mode, using: &generator) & ~0xFFF
      address |= UInt64(Int.random(in: Self.marks, using: &generator))
      if guest.program.isLong && generator.oneIn(20) { address ^= 1 << UInt64.random(in: 48...63, using: &generator) }
      let privilege = generator.pick(
        generator.oneIn(6)
          ? [.implicitSupervisor, .implicitSupervisorAtCPL3] : [PageAccess.Privilege.user, .supervisor])
      var request = AccessGuest.Request(
        address: address, access: PageAccess(.read, by: privilege), alignmentCheck: generator.oneIn(2), value: 0)
      if request.isImplicit {
        request.address &= ~7
      } else {
        request.access.kind = generator.pick(PageAccess.Kind.allCases)
      }
      if request.access.kind == .fetch, let place = place(of: request, paging) {
        guest.machine.ram.store(UInt8(0xCC), at: place)
      }
      return request
    }

    private func model(_ request: AccessGuest.Request, _ paging: Paging) -> PageWalk {
      var paging = paging
      paging.protection.alignmentCheck = request.alignmentCheck
      return paging.walk(LinearAddress(request.address), for: request.access, in: guest.machine.memory)
    }

    /// Where in RAM an access goes that is allowed; nil for one that is not, or that goes elsewhere or to the guest's own.
    private func place(of request: AccessGuest.Request, _ paging: Paging) -> Int? {
      model(request, paging).outcome.physicalAddress.flatMap(place)
    }

    private func place(_ address: PhysicalAddress) -> Int? {
      let range = guest.machine.memory.map?.range(at: address)
      guard range?.kind == .ram, !guest.program.owns(address) else { return nil }
      return Int(exactly: address.rawValue)
    }

    /// The case, once all places are as they will be; nil where the guest cannot make it, or what it does tells nothing.
    private func walk(_ request: AccessGuest.Request, _ paging: Paging) -> Case? {
      let walk = model(request, paging)
      guard walk.judgement != .undecided else { return nil }
      var request = request
      if let address = walk.outcome.physicalAddress {
        guard let place = place(address) else { return nil }
        let there = UInt8(truncatingIfNeeded: guest.machine.ram[place])
        if request.access.kind == .fetch && there != 0xCC { return nil }
        // A write leaves what there is.
        request.value = request.access.kind == .write ? there : ~there
      }
      return Case(request: request, walk: walk)
    }

    // MARK: Judging

    private mutating func judge(_ one: Case, _ answer: AccessGuest.Answer) {
      coverage.count(one.walk)
      let request = one.request
      let rip = guest.rip(of: request)
      let isRight: Bool
      switch one.walk.outcome {
      case .translated(let translation):
        isRight = answer.vector == 3 && answer.rip == rip + length(request) && isRead(request, answer, translation)
      case .pageFault(let fault):
        let code = PageFaultErrorCode(rawValue: UInt32(truncatingIfNeeded: answer.errorCode))
        isRight = answer.vector == 14 && answer.rip == rip && answer.cr2 == request.address && fault.agrees(with: code)
        if fault.undeterminedBits != [] { left += 1 }
      case .notCanonical:
        isRight = answer.vector == 13 && answer.rip == rip && answer.errorCode == 0
      case .unpaged, .pdpteNotLoadable, .undetermined:
        isRight = false
      }
      if !isRight {
        differences.append("TCG \(answer), \(one.walk.account)")
      }
    }

    /// How far RIP gets: past the instruction and INT3.
    private func length(_ request: AccessGuest.Request) -> UInt64 {
      if request.access.kind == .fetch { return 1 }
      return request.isImplicit ? 4 : 3
    }

    /// Whether a read gave what is at the place that the model says. TCG may since have set A and D there, bits 5 and 6.
    private func isRead(_ request: AccessGuest.Request, _ answer: AccessGuest.Answer, _ page: Translation) -> Bool {
      guard request.access.kind == .read, !request.isImplicit else { return true }
      guard let place = place(page.physicalAddress) else { return false }
      let there = UInt8(truncatingIfNeeded: guest.machine.ram[place])
      return (there ^ answer.value) & ~0x60 == 0
    }
  }

  /// CPUs whose rules differ: MAXPHYADDR, 1 GiB pages, the vendor.
  static let cpus = [
    "max,phys-bits=40", "max,phys-bits=36,vendor=GenuineIntel", "max,phys-bits=52,vendor=GenuineIntel",
    "max,phys-bits=46,-pdpe1gb",
  ]

  @Test("Random tables and accesses, every mode: what TCG does is what the model says")
  func agreesWithTCG() throws {
    let cases = OracleSetting.number("INQUEST_TCG_CASES") ?? 60_000
    let modes: [PagingMode] = [.twoLevel, .pae, .fourLevel, .fiveLevel]
    var generator = SeededGenerator(seed: OracleSetting.seed)
    var coverage = OracleCoverage()
    var (done, left, differences, walker) = (0, 0, 0, "")
    for (round, mode) in modes.enumerated() {
      for cpu in 0..<2 {
        var run = try Run(mode: mode, cpu: Self.cpus[(round + 2 * cpu) % Self.cpus.count])
        while run.done < cases / 8 && run.differences.count < 10 { try run.next(using: &generator) }
        for difference in run.differences.prefix(10) { Issue.record("seed \(OracleSetting.seed), \(difference)") }
        coverage.add(run.coverage)
        done += run.done
        left += run.left
        differences += run.differences.count
        walker = "\(run.guest.machine.walker)"
      }
    }
    print(
      "TCG as oracle: \(walker), seed \(OracleSetting.seed), \(done) cases, \(left) left out, \(differences) differences"
    )
    coverage.print()
    #expect(differences == 0)
  }
}
