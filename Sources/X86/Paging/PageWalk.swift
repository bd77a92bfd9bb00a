/// The translation of one linear address for one access, with every entry that was read.
public struct PageWalk: Hashable, Sendable {
  /// What came of it.
  public enum Outcome: Hashable, Sendable {
    /// The access is allowed and goes here.
    case translated(Translation)
    case pageFault(PageFault)
    /// The address is not canonical: #GP, or #SS for a stack access, and no table is read.
    case notCanonical
    /// What is known does not decide it. The walk stopped at an entry of this structure.
    case undetermined(Doubt, at: PagingStructure)
  }

  /// What would have to be known.
  public enum Doubt: Hashable, Sendable {
    /// The entry may have reserved bits set; none of the violations is definite.
    case reservedBits(ReservedBitViolations)
    /// The table was not captured, or a device answers in its place.
    ///
    /// KVM faults on a device as on nothing; TCG reads the device.
    case tableUnavailable(UnavailableMemory)
    /// All else allows the access, and PKRU, or IA32_PKRS for a supervisor page, decides on this key.
    case protectionKey(UInt8)
  }

  public let paging: LongModePaging
  public let address: LinearAddress
  public let access: PageAccess
  public let outcome: Outcome
  @usableFromInline
  let entries: WalkedEntries

  @inlinable
  init(
    paging: LongModePaging, address: LinearAddress, access: PageAccess, entries: WalkedEntries, outcome: Outcome
  ) {
    self.paging = paging
    self.address = address
    self.access = access
    self.entries = entries
    self.outcome = outcome
  }
}

/// Where a linear address leads.
public struct Translation: Hashable, Sendable {
  public var physicalAddress: PhysicalAddress
  /// The structure whose entry maps the page: it gives the page's size.
  public var structure: PagingStructure
  /// The leaf.
  public var entry: PageTableEntry
  /// What all levels together allow.
  public var rights: PageRights

  @inlinable
  public init(
    physicalAddress: PhysicalAddress, structure: PagingStructure, entry: PageTableEntry, rights: PageRights
  ) {
    self.physicalAddress = physicalAddress
    self.structure = structure
    self.entry = entry
    self.rights = rights
  }

  /// 4 KiB, 2 MiB or 1 GiB.
  public var pageSize: UInt64 { structure.span }
}

/// The entries of a walk from the root down, at most five, without an allocation.
@usableFromInline
struct WalkedEntries: Hashable, Sendable {
  @usableFromInline
  var storage = InlineArray<5, UInt64>(repeating: 0)
  @usableFromInline
  var count = 0

  @inlinable
  init() {}

  @inlinable
  mutating func append(_ entry: PageTableEntry) {
    storage[count] = entry.rawValue
    count &+= 1
  }

  @usableFromInline
  static func == (a: Self, b: Self) -> Bool {
    a.count == b.count && a.storage.indices.allSatisfy { a.storage[$0] == b.storage[$0] }
  }

  @usableFromInline
  func hash(into hasher: inout Hasher) {
    for index in 0..<count { hasher.combine(storage[index]) }
  }
}

extension LongModePaging {
  /// Translates `address` for `access`, reading the tables from `memory`.
  ///
  /// The order of the checks is KVM's (`paging_tmpl.h: walk_addr_generic`, the same from 5.15 to 6.19): at each level
  /// the entry is read, then P, then the reserved bits; protection is checked once the page is found, so that a
  /// reserved bit further down comes before a right denied further up. Accessed and dirty bits are left alone.
  @inlinable
  public func walk(
    _ address: LinearAddress, for access: PageAccess, in memory: borrowing some PhysicalMemory
  ) -> PageWalk {
    var entries = WalkedEntries()
    let outcome = outcome(of: address, for: access, in: memory, recording: &entries)
    return PageWalk(paging: self, address: address, access: access, entries: entries, outcome: outcome)
  }

  @inlinable
  func outcome(
    of address: LinearAddress, for access: PageAccess, in memory: borrowing some PhysicalMemory,
    recording entries: inout WalkedEntries
  ) -> PageWalk.Outcome {
    guard isCanonical(address) else { return .notCanonical }
    var structure = levels.rootStructure
    var table = rootTable
    var rights = PageRights.all
    while true {
      let entry: PageTableEntry
      do throws(UnavailableMemory) {
        entry = PageTableEntry(try memory.loadUInt64(at: structure.entryAddress(of: address, in: table)))
      } catch {
        return unavailable(error, at: structure, for: access)
      }
      entries.append(entry)
      if !entry.isPresent || entry.rawValue & rules.suspects(of: entry, at: structure) != 0,
        let refusal = refusal(of: entry, at: structure, for: access)
      {
        return refusal
      }
      rights.formIntersection(entry.rights)
      guard !entry.isLeaf(at: structure), let next = structure.next else {
        return arrival(at: entry, in: structure, of: address, for: access, rights: rights)
      }
      table = entry.table
      structure = next
    }
  }

  /// What ends the walk at a table that cannot be read.
  @usableFromInline
  func unavailable(
    _ memory: UnavailableMemory, at structure: PagingStructure, for access: PageAccess
  ) -> PageWalk.Outcome {
    guard memory.reason == .unbacked else { return .undetermined(.tableUnavailable(memory), at: structure) }
    return .pageFault(fault(.tableUnbacked(memory), at: structure, for: access))
  }

  /// What ends the walk at an entry that is not present or that may have a reserved bit set; nil if it goes on.
  @usableFromInline
  func refusal(of entry: PageTableEntry, at structure: PagingStructure, for access: PageAccess) -> PageWalk.Outcome? {
    guard entry.isPresent else { return .pageFault(fault(.notPresent, at: structure, for: access)) }
    let violations = rules.violations(of: entry, at: structure)
    if violations.isEmpty { return nil }
    if !violations.areDefinite { return .undetermined(.reservedBits(violations), at: structure) }
    return .pageFault(fault(.reservedBits(violations), at: structure, for: access))
  }

  /// What becomes of an access whose page was found.
  @usableFromInline
  func arrival(
    at entry: PageTableEntry, in structure: PagingStructure, of address: LinearAddress, for access: PageAccess,
    rights: PageRights
  ) -> PageWalk.Outcome {
    let violations = protection.violations(of: access, to: rights)
    switch protection.keyVerdict(on: access, key: entry.protectionKey, rights: rights) {
    case .allows where violations.isEmpty:
      let offset = address.rawValue & (structure.span &- 1)
      let page = entry.table.rawValue & ~(structure.span &- 1)
      return .translated(
        Translation(
          physicalAddress: PhysicalAddress(page | offset), structure: structure, entry: entry, rights: rights))
    case .allows:
      return .pageFault(fault(.protection(violations), at: structure, for: access))
    case .forbids:
      return .pageFault(fault(.protection(violations.union(.protectionKey)), at: structure, for: access))
    case .unknown where violations.isEmpty:
      return .undetermined(.protectionKey(entry.protectionKey), at: structure)
    case .unknown:
      var fault = fault(.protection(violations), at: structure, for: access)
      fault.undeterminedBits.insert(.protectionKey)
      return .pageFault(fault)
    }
  }

  /// The fault with its error code (SDM vol. 3, 4.7; `paging_tmpl.h: walk_addr_generic`, label `error`).
  ///
  /// F is reported only if EFER.NXE or CR4.SMEP is set.
  private func fault(_ cause: PageFault.Cause, at structure: PagingStructure, for access: PageAccess) -> PageFault {
    var code: PageFaultErrorCode =
      switch cause {
      case .notPresent, .tableUnbacked: []
      case .reservedBits: [.present, .reserved]
      case .protection(let violations): violations.contains(.protectionKey) ? [.present, .protectionKey] : .present
      }
    if access.isUser { code.insert(.user) }
    if access.kind == .write { code.insert(.write) }
    guard access.kind == .fetch else { return PageFault(cause: cause, structure: structure, errorCode: code) }
    if rules.executeDisableEnabled == true || protection.supervisorExecutionPrevention { code.insert(.fetch) }
    let isFetchUnknown = rules.executeDisableEnabled == nil && !protection.supervisorExecutionPrevention
    return PageFault(
      cause: cause, structure: structure, errorCode: code, undeterminedBits: isFetchUnknown ? .fetch : [])
  }
}
