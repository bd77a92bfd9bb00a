public import X86

/// An access to memory whose walk failed: as KVM recorded it, as the reenactment found it, or both.
public struct FailedAccess: Hashable, Sendable {
  /// An entry that the walk read, from the root down.
  public struct Step: Hashable, Sendable {
    public var structure: PagingStructure
    public var entry: PageTableEntry
    /// Nil where the table's address is not known.
    public var entryAddress: PhysicalAddress?
    public var source: Source
  }

  public var address: LinearAddress
  public var access: PageAccess
  public var errorCode: PageFaultErrorCode
  /// How the tables are laid out.
  public var format: TableFormat
  /// CR3; nil where nothing shows it.
  public var root: UInt64?
  /// The entries that were read; the last one is where the walk failed.
  public var steps: [Step]
  /// Where the error code came from.
  public var source: Source
  /// Why the walk failed; nil for a recorded walk, whose error code and entries tell as far as they can.
  public var cause: PageFault.Cause?
}

extension FailedAccess {
  /// A walk that KVM recorded; nil unless it failed.
  ///
  /// - Parameter root: CR3, where it is known from elsewhere; a trace does not show it.
  init?(_ walk: RecordedWalk, root: UInt64?) {
    guard let error = walk.error, let errorSource = walk.errorSource, let mode = walk.pagingMode,
      let format = walk.format
    else { return nil }
    let rules = PagingRules()
    let protection = PageProtection(cr0: [], cr4: [], rflags: [])
    var table = root.map { Paging(mode: mode, cr3: $0, rules: rules, protection: protection).rootTable }
    var steps: [Step] = []
    for (element, level) in zip(walk.elements, stride(from: mode.levels, to: 0, by: -1)) {
      guard element.level == level, let structure = PagingStructure(level: level) else { return nil }
      let entry = PageTableEntry(element.entry)
      steps.append(
        Step(
          structure: structure, entry: entry,
          entryAddress: table.map { format.entryAddress(of: walk.address, at: structure, in: $0) },
          source: element.source))
      table = entry.isLeaf(at: structure, in: format) ? nil : entry.table
    }
    guard steps.count == walk.elements.count, Self.isOneWalk(steps, format, error) else { return nil }
    self.init(
      address: walk.address, access: PageAccess(walk.access), errorCode: error, format: format, root: root,
      steps: steps, source: errorSource)
  }

  /// Whether the entries can be those of one failed walk: it goes on only behind a present entry that leads to a table,
  /// and sets P in the error code only for a present one.
  ///
  /// In a nested guest KVM walks the tables of the guest's hypervisor in the middle of a walk, and the trace does not
  /// tell whose an entry is (arch/x86/kvm/mmu/paging_tmpl.h: walk_addr_generic calls kvm_translate_gpa, 6.1).
  private static func isOneWalk(_ steps: [Step], _ format: TableFormat, _ error: PageFaultErrorCode) -> Bool {
    steps.dropLast().allSatisfy { $0.entry.isPresent && !$0.entry.isLeaf(at: $0.structure, in: format) }
      && (!error.contains(.present) || steps.last?.entry.isPresent == true)
  }

  /// A walk that all but a protection key allows, as it ends if the key forbids the access; nil for any other.
  init?(forbiddenByKey walk: PageWalk) {
    guard case .undetermined(.protectionKey, at: _) = walk.outcome, let format = walk.paging.format else { return nil }
    var code: PageFaultErrorCode = [.present, .protectionKey]
    if walk.access.kind == .write { code.insert(.write) }
    if walk.access.isUser { code.insert(.user) }
    self.init(
      address: walk.address, access: walk.access, errorCode: code, format: format, root: walk.paging.cr3,
      steps: Self.steps(of: walk), source: .reenactment, cause: .protection(.protectionKey))
  }

  private static func steps(of walk: PageWalk) -> [Step] {
    walk.steps.map { step in
      Step(structure: step.structure, entry: step.entry, entryAddress: step.entryAddress, source: .guestMemory)
    }
  }

  /// A walk of the reenactment; nil unless it ends in a page fault.
  init?(_ walk: PageWalk) {
    guard case .pageFault(let fault) = walk.outcome, let format = walk.paging.format else { return nil }
    self.init(
      address: walk.address, access: walk.access, errorCode: fault.errorCode, format: format,
      root: walk.paging.cr3, steps: Self.steps(of: walk), source: .reenactment, cause: fault.cause)
  }

  /// The last entry that was read.
  var last: Step? { steps.last }

  /// Whether the last entry is not present.
  var meetsNoPage: Bool { errorCode.isDisjoint(with: [.present, .reserved]) && last?.entry.isPresent != true }

  /// Whether the last entry leads to a table where there is no memory: the walk stops behind a present entry, and the
  /// error code says that nothing was present.
  var meetsNoTable: Bool {
    if case .tableUnbacked? = cause { return true }
    guard let last, last.entry.isPresent, !last.entry.isLeaf(at: last.structure, in: format) else { return false }
    return errorCode.isDisjoint(with: [.present, .reserved])
  }

  /// Which rule of protection refused the access; empty where it failed for another reason, or the registers are not known.
  func protectionViolations(_ state: ProcessorState?) -> ProtectionViolations {
    if case .protection(let violations)? = cause { return violations }
    guard cause == nil, errorCode.contains(.present), !errorCode.contains(.reserved), let state else { return [] }
    if steps.isEmpty { return violationsByErrorCode(state) }
    let isWritable = steps.allSatisfy(\.entry.isWritable)
    let isUserPage = steps.allSatisfy(\.entry.isUser)
    let isExecutable = !steps.contains(where: \.entry.isExecuteDisabled)
    var violations: ProtectionViolations = []
    if errorCode.contains(.protectionKey) { violations.insert(.protectionKey) }
    if access.isUser, !isUserPage { violations.insert(.supervisorOnly) }
    if access.kind == .write, !isWritable, access.isUser || state.cr0.contains(.writeProtect) {
      violations.insert(.readOnly)
    }
    if access.kind == .fetch, !isExecutable { violations.insert(.executeDisabled) }
    guard !access.isUser, isUserPage else { return violations }
    if access.kind == .fetch, state.cr4.contains(.supervisorExecutionPrevention) {
      violations.insert(.supervisorExecution)
    }
    if access.kind != .fetch, state.cr4.contains(.supervisorAccessPrevention) { violations.insert(.supervisorAccess) }
    return violations
  }

  /// What the error code leaves, without the tables: one rule, or none that can be told from another.
  private func violationsByErrorCode(_ state: ProcessorState) -> ProtectionViolations {
    if errorCode.contains(.protectionKey) { return .protectionKey }
    var possible: [ProtectionViolations] = []
    if access.isUser { possible.append(.supervisorOnly) }
    if access.kind == .write, access.isUser || state.cr0.contains(.writeProtect) { possible.append(.readOnly) }
    if access.kind == .fetch, state.efer?.contains(.executeDisableEnable) != false { possible.append(.executeDisabled) }
    if !access.isUser, access.kind == .fetch, state.cr4.contains(.supervisorExecutionPrevention) {
      possible.append(.supervisorExecution)
    }
    if !access.isUser, access.kind != .fetch, state.cr4.contains(.supervisorAccessPrevention) {
      possible.append(.supervisorAccess)
    }
    return possible.count == 1 ? possible[0] : []
  }

  /// Whether both accounts are of the same walk with the same end. A fetch and a read of the same address count as
  /// one: without EFER.NXE and CR4.SMEP the processor reports them alike.
  func agrees(with other: FailedAccess) -> Bool {
    address == other.address && steps.map(\.entry) == other.steps.map(\.entry)
      && errorCode.subtracting(.fetch) == other.errorCode.subtracting(.fetch)
  }
}

extension RecordedWalk {
  /// The mode, by the level at which the walk began: KVM numbers the root's by the number of levels
  /// (`paging_tmpl.h: walk_addr_generic`, 5.15 to 6.19).
  fileprivate var pagingMode: PagingMode? {
    guard let level = elements.first?.level else { return nil }
    return PagingMode.allCases.first { $0.levels == level && $0 != .none }
  }

  /// The format of the tables. CR4.PSE shows in what the walk made of bit 7 of a 32-bit PDE: it goes on behind one only if
  /// PSE is clear.
  fileprivate var format: TableFormat? {
    guard let mode = pagingMode, let first = elements.first else { return nil }
    let goesOnBehindPS = elements.count > 1 && PageTableEntry(first.entry).pageSizeBit
    return TableFormat(mode, pageSizeExtensions: !goesOnBehindPS)
  }
}

extension PageAccess {
  /// `instruction fetch`, `write`, `read`, with the privilege where it is a user's.
  public var words: String {
    let kind =
      switch kind {
      case .fetch: "instruction fetch"
      case .write: "write"
      case .read: "read"
      }
    return isUser ? "user-mode \(kind)" : kind
  }
}
