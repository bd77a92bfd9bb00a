import QEMU
import X86

/// Entries that the walker at hand accepted and another would refuse for a reserved bit: deaths to come elsewhere.
///
/// Only entries that were used count (A is set, or RIP lies behind them): a table may hold anything where nobody looks.
struct LatentReservedBits {
  private let scene: Scene
  private let processor: ObservedProcessor
  /// The first such entry, as a walk that fails at it.
  private let access: FailedAccess
  private let rules: PagingRules
  /// How many such entries there are.
  private let count: Int

  /// Nil where there is none, or where the tables or the guest's CPUID are not known.
  init?(in scene: Scene) {
    guard let memory = scene.memory else { return nil }
    // Elsewhere is not this host: what its KVM does not offer, the guest's CPUID would not show there either.
    var elsewhere = scene
    elsewhere.host.kvmOffers = nil
    // The memory is that of the end: of tables that were left before, it no longer tells.
    for processor in scene.samples.suffix(1) + scene.processors {
      let strict = elsewhere.rules(of: .kvmShadow, for: processor.state)
      let lenient = scene.rules(of: scene.walker, for: processor.state)
      guard let space = LongModePaging(processor.state, rules: strict) else { continue }
      var scan = Scan(space: space, lenient: lenient, instruction: processor.state.instructionAddress)
      scan.run(in: memory)
      guard let found = scan.first, let access = FailedAccess(found) else { continue }
      self.scene = scene
      self.processor = processor
      self.access = access
      rules = strict
      count = scan.count
      return
    }
    return nil
  }

  /// The warning, as a verdict shows it. Its remedies must hold under KVM.
  var warnings: [Warning] {
    var elsewhere = scene
    elsewhere.host.offers = scene.host.kvmOffers
    guard let cause = ReservedBit(access, rules: rules) else { return [] }
    let others = count > 1 ? " \(count - 1) more entr\(count == 2 ? "y is" : "ies are") like it." : ""
    let summary = cause.summary(scene.decision(on: .pdpe1gb)) + others
    return [
      Warning(
        cause: Cause(id: ReservedBit.id, title: ReservedBit.title, summary: summary, confidence: .likely),
        condition: condition(cause), walk: cause.account, remedies: cause.remedies(for: elsewhere))
    ]
  }

  private func condition(_ cause: ReservedBit) -> String {
    let accepted = scene.walker == .tcg ? " TCG does not check it." : ""
    guard cause.violations.contains(where: { $0.rule == .pageSizeWithoutGiBPages }) else {
      return "Wherever the rule is checked: KVM with shadow paging, and real processors.\(accepted)"
    }
    return
      "KVM with shadow paging (kvm_intel.ept=0, kvm_amd.npt=0, kvm_pvm), and KVM before Linux 5.14 once it emulates "
      + "an instruction there. Newer KVM with EPT or NPT goes by the host's processor instead.\(accepted)"
  }
}

/// A search of all tables for used entries that one set of rules refuses and another accepts.
private struct Scan {
  /// Enough for 64 GiB in 4 KiB pages; a table that leads back to itself must not keep the search going.
  private static let mostTables = 1 << 15

  let space: LongModePaging
  let lenient: PagingRules
  let instruction: LinearAddress
  private(set) var first: PageWalk?
  private(set) var count = 0
  private var tables = 0

  init(space: LongModePaging, lenient: PagingRules, instruction: LinearAddress) {
    self.space = space
    self.lenient = lenient
    self.instruction = instruction
  }

  /// Looks at the entries that map RIP first: they kill first.
  mutating func run(in memory: some PhysicalMemory) {
    let walk = space.walk(instruction, for: PageAccess(.fetch, by: .supervisor), in: memory)
    if case .pageFault(let fault) = walk.outcome, case .reservedBits(let violations) = fault.cause,
      isAccepted(violations.entry, at: violations.structure)
    {
      first = walk
    }
    scan(space.rootTable, space.levels.rootStructure, base: 0, in: memory)
    if first != nil { count = max(count, 1) }
  }

  private mutating func scan(
    _ table: PhysicalAddress, _ structure: PagingStructure, base: UInt64, in memory: some PhysicalMemory
  ) {
    tables += 1
    guard tables <= Self.mostTables, let bytes = try? memory.bytes(at: table, count: 4096) else { return }
    for index in 0..<512 {
      let entry = PageTableEntry(bytes.word(at: index * 8))
      guard entry.isPresent, entry.isAccessed else { continue }
      let address = LinearAddress(canonical(base | UInt64(index) << UInt64(3 + 9 * structure.level)))
      if space.rules.violations(of: entry, at: structure).areDefinite, isAccepted(entry, at: structure) {
        count += 1
        if first == nil { first = space.walk(address, for: PageAccess(.read, by: .supervisor), in: memory) }
      } else if let next = structure.next, !entry.isLeaf(at: structure) {
        scan(entry.table, next, base: address.rawValue, in: memory)
      }
    }
  }

  private func isAccepted(_ entry: PageTableEntry, at structure: PagingStructure) -> Bool {
    lenient.violations(of: entry, at: structure).isEmpty
  }

  /// The address with its unused upper bits made copies of the highest used one.
  private func canonical(_ address: UInt64) -> UInt64 {
    let unused = Int64(64 - space.levels.linearAddressBits)
    return UInt64(bitPattern: (Int64(bitPattern: address) << unused) >> unused)
  }
}

extension [UInt8] {
  /// The little-endian 64-bit word at `offset`, which must lie 8 bytes before the end or earlier.
  fileprivate func word(at offset: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(self[offset + $1]) << UInt64(8 * $1) }
  }
}
