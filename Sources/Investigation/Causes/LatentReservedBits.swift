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
      guard let paging = Paging(processor.state, rules: strict) else { continue }
      var search = Search(paging: paging, lenient: lenient)
      search.run(from: processor.state.instructionAddress, in: memory)
      guard let found = search.first, let access = FailedAccess(found) else { continue }
      self.scene = scene
      self.processor = processor
      self.access = access
      rules = strict
      count = search.count
      return
    }
    return nil
  }

  /// The warning, as a verdict shows it. Its remedies must hold under KVM.
  var warnings: [Warning] {
    var elsewhere = scene
    elsewhere.host.offers = scene.host.kvmOffers
    guard let cause = ReservedBit(access, rules: rules, in: scene) else { return [] }
    let others = count > 1 ? " \(count - 1) more entr\(count == 2 ? "y is" : "ies are") like it." : ""
    let summary = cause.summary + others
    return [
      Warning(
        cause: Cause(id: ReservedBit.id, title: ReservedBit.title, summary: summary, confidence: .likely),
        condition: condition(cause), walk: cause.walk, remedies: cause.remedies(for: elsewhere))
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
private struct Search: AddressSpaceVisitor {
  /// Enough for 64 GiB in 4 KiB pages.
  private static let mostTables = 1 << 15

  let paging: Paging
  let lenient: PagingRules
  private(set) var first: PageWalk?
  private(set) var count = 0
  /// The first linear address behind such an entry.
  private var place: LinearAddress?

  init(paging: Paging, lenient: PagingRules) {
    self.paging = paging
    self.lenient = lenient
  }

  /// Looks at the entries that map RIP first: they kill first.
  mutating func run(from instruction: LinearAddress, in memory: some PhysicalMemory) {
    let walk = paging.walk(instruction, for: PageAccess(.fetch, by: .supervisor), in: memory)
    if case .pageFault(let fault) = walk.outcome, case .reservedBits(let violations) = fault.cause,
      isAccepted(violations)
    {
      first = walk
    }
    _ = paging.scan(in: memory, tableLimit: Self.mostTables, visitor: &self)
    if let place, first == nil { first = paging.walk(place, for: PageAccess(.read, by: .supervisor), in: memory) }
    if first != nil { count = max(count, 1) }
  }

  mutating func visit(_ range: MappedRange) {}

  mutating func visit(_ finding: TableFinding) {
    guard case .reservedBits(let violations) = finding.kind, violations.areDefinite, finding.entry.isAccessed,
      isAccepted(violations)
    else { return }
    count += 1
    place = place ?? finding.start
  }

  /// A PDPTE of PAE paging has no A bit.
  mutating func enter(_ table: PhysicalAddress, _ structure: PagingStructure, by entry: PageTableEntry?) -> Bool {
    entry?.isAccessed ?? true || paging.mode == .pae && structure == .pageDirectory
  }

  private func isAccepted(_ violations: ReservedBitViolations) -> Bool {
    lenient.violations(of: violations.entry, at: violations.structure, in: violations.format).isEmpty
  }
}
