/// The translation of one linear address for one access, with every entry that was read.
public struct PageWalk: Hashable, Sendable {
  /// What came of it.
  public enum Outcome: Hashable, Sendable {
    /// The access is allowed and goes here.
    case translated(Translation)
    case pageFault(PageFault)
    /// The address is not canonical: #GP, or #SS for a stack access, and no table is read.
    case notCanonical
    /// There is no paging: the linear address is the physical one.
    case unpaged(PhysicalAddress)
    /// The PDPTE registers of PAE paging are not known, and no load can have put into them what the entry in memory now
    /// holds: a load raises #GP.
    case pdpteNotLoadable(PDPTELoadFault)
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

  public let paging: Paging
  public let address: LinearAddress
  public let access: PageAccess
  public let outcome: Outcome
  @usableFromInline
  let entries: WalkedEntries

  @inlinable
  init(
    paging: Paging, address: LinearAddress, access: PageAccess, entries: WalkedEntries, outcome: Outcome
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
  /// The structure whose entry maps the page.
  public var structure: PagingStructure
  /// The leaf.
  public var entry: PageTableEntry
  /// What all levels together allow.
  public var rights: PageRights
  /// The format of the tables: with `structure` it gives the page's size.
  public var format: TableFormat

  @inlinable
  public init(
    physicalAddress: PhysicalAddress, structure: PagingStructure, entry: PageTableEntry, rights: PageRights,
    format: TableFormat = .longMode
  ) {
    self.physicalAddress = physicalAddress
    self.structure = structure
    self.entry = entry
    self.rights = rights
    self.format = format
  }

  /// 4 KiB, 2 MiB, 4 MiB or 1 GiB.
  public var pageSize: UInt64 { format.span(of: structure) }
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

  /// The entry that was appended last; zero if there is none.
  @inlinable
  var last: PageTableEntry { PageTableEntry(count == 0 ? 0 : storage[count &- 1]) }

  @usableFromInline
  static func == (a: Self, b: Self) -> Bool {
    a.count == b.count && a.storage.indices.allSatisfy { a.storage[$0] == b.storage[$0] }
  }

  @usableFromInline
  func hash(into hasher: inout Hasher) {
    for index in 0..<count { hasher.combine(storage[index]) }
  }
}

extension PageWalk.Outcome {
  /// Where the access goes; nil unless it is allowed and goes somewhere.
  @inlinable
  public var physicalAddress: PhysicalAddress? {
    switch self {
    case .translated(let translation): translation.physicalAddress
    case .unpaged(let address): address
    case .pageFault, .notCanonical, .pdpteNotLoadable, .undetermined: nil
    }
  }
}

extension Paging {
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
    guard let format, var structure = rootStructure else { return .unpaged(PhysicalAddress(address.rawValue)) }
    guard isCanonical(address) else { return .notCanonical }
    var table = rootTable
    var rights = PageRights.all
    if format == .pae {
      if let end = pdpteRefusal(of: address, for: access, in: memory, recording: &entries) { return end }
      table = entries.last.table
      structure = .pageDirectory
    }
    while true {
      let entry: PageTableEntry
      do throws(UnavailableMemory) {
        let place = format.entryAddress(of: address, at: structure, in: table)
        entry = PageTableEntry(
          format.isTwoLevel ? UInt64(try memory.loadUInt32(at: place)) : try memory.loadUInt64(at: place))
      } catch {
        return unavailable(error, at: structure, for: access)
      }
      entries.append(entry)
      if !entry.isPresent || entry.rawValue & rules.suspects(of: entry, at: structure, in: format) != 0,
        let refusal = refusal(of: entry, at: structure, in: format, for: access)
      {
        return refusal
      }
      rights.formIntersection(entry.rights)
      guard !entry.isLeaf(at: structure, in: format), let next = structure.next else {
        return arrival(at: entry, in: structure, format, of: address, for: access, rights: rights)
      }
      table = entry.table
      structure = next
    }
  }

  /// Reads the PDPTE of PAE paging and appends it to `entries`; what ends the walk there, or nil if it goes on.
  ///
  /// A register is only looked at for P: its other bits were checked when it was loaded (`paging_tmpl.h:
  /// walk_addr_generic`, 6.19). An entry that is read at each walk is checked like any other.
  @usableFromInline
  func pdpteRefusal(
    of address: LinearAddress, for access: PageAccess, in memory: borrowing some PhysicalMemory,
    recording entries: inout WalkedEntries
  ) -> PageWalk.Outcome? {
    let structure = PagingStructure.pageDirectoryPointerTable
    let index = TableFormat.pae.index(of: address, at: structure)
    let isReadAtEachWalk = rules.quirks.contains(.readsPDPTEs)
    if let pdpteRegisters, !isReadAtEachWalk {
      let entry = pdpteRegisters[index]
      entries.append(entry)
      return entry.isPresent ? nil : .pageFault(fault(.notPresent, at: structure, for: access))
    }
    let entry: PageTableEntry
    do throws(UnavailableMemory) {
      entry = PageTableEntry(
        try memory.loadUInt64(at: TableFormat.pae.entryAddress(of: address, at: structure, in: rootTable)))
    } catch {
      if isReadAtEachWalk || !isFaultingTable(error) { return unavailable(error, at: structure, for: access) }
      return .pdpteNotLoadable(PDPTELoadFault(index: index, cause: .tableUnbacked(error)))
    }
    entries.append(entry)
    let refusal = refusal(of: entry, at: structure, in: .pae, for: access)
    guard !isReadAtEachWalk, case .pageFault(let fault) = refusal, case .reservedBits(let violations) = fault.cause
    else { return refusal }
    return .pdpteNotLoadable(PDPTELoadFault(index: index, cause: .reservedBits(violations)))
  }

  /// Whether a walk that comes to such memory ends in a fault.
  @usableFromInline
  func isFaultingTable(_ memory: UnavailableMemory) -> Bool {
    memory.reason == .unbacked || memory.reason == .device && rules.quirks.contains(.faultsOnDevices)
  }

  /// What ends the walk at a table that cannot be read.
  @usableFromInline
  func unavailable(
    _ memory: UnavailableMemory, at structure: PagingStructure, for access: PageAccess
  ) -> PageWalk.Outcome {
    guard isFaultingTable(memory) else { return .undetermined(.tableUnavailable(memory), at: structure) }
    return .pageFault(fault(.tableUnbacked(memory), at: structure, for: access))
  }

  /// What ends the walk at an entry that is not present or that may have a reserved bit set; nil if it goes on.
  @usableFromInline
  func refusal(
    of entry: PageTableEntry, at structure: PagingStructure, in format: TableFormat, for access: PageAccess
  ) -> PageWalk.Outcome? {
    guard entry.isPresent else { return .pageFault(fault(.notPresent, at: structure, for: access)) }
    let violations = rules.violations(of: entry, at: structure, in: format)
    if violations.isEmpty { return nil }
    if !violations.areDefinite { return .undetermined(.reservedBits(violations), at: structure) }
    return .pageFault(fault(.reservedBits(violations), at: structure, for: access))
  }

  /// What becomes of an access whose page was found.
  @usableFromInline
  func arrival(
    at entry: PageTableEntry, in structure: PagingStructure, _ format: TableFormat, of address: LinearAddress,
    for access: PageAccess, rights: PageRights
  ) -> PageWalk.Outcome {
    let violations = protection.violations(of: judged(access), to: rights)
    switch keyVerdict(on: access, to: entry, in: format, rights: rights) {
    case .allows where violations.isEmpty:
      let offset = address.rawValue & (format.span(of: structure) &- 1)
      let page = entry.leafPage(at: structure, in: format)
      return .translated(
        Translation(
          physicalAddress: PhysicalAddress(page.rawValue | offset), structure: structure, entry: entry, rights: rights,
          format: format))
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

  /// The access as the checks of rights take it.
  private func judged(_ access: PageAccess) -> PageAccess {
    let isExplicit = access.privilege == .implicitSupervisor && rules.quirks.contains(.alignmentCheckLiftsImplicit)
    return isExplicit ? PageAccess(access.kind, by: .supervisor) : access
  }

  /// Protection keys exist in 4-level and 5-level paging only (SDM vol. 3, 4.6.2; `mmu.c: kvm_calc_cpu_role` counts
  /// CR4.PKE only with EFER.LMA, 6.19).
  private func keyVerdict(
    on access: PageAccess, to leaf: PageTableEntry, in format: TableFormat, rights: PageRights
  ) -> PageProtection.KeyVerdict {
    guard format == .longMode else { return .allows }
    if !rights.contains(.user) {
      if rules.quirks.contains(.ignoresSupervisorKeys) { return .allows }
      if access.isUser && rules.quirks.contains(.refusesUsersBeforeKeys) { return .allows }
    }
    return protection.keyVerdict(on: access, key: leaf.protectionKey, rights: rights)
  }

  /// The fault with its error code (SDM vol. 3, 4.7; `paging_tmpl.h: walk_addr_generic`, label `error`).
  private func fault(_ cause: PageFault.Cause, at structure: PagingStructure, for access: PageAccess) -> PageFault {
    var code: PageFaultErrorCode =
      switch cause {
      case .notPresent, .tableUnbacked: []
      case .reservedBits: rules.quirks.contains(.reservedWithoutPresent) ? .reserved : [.present, .reserved]
      case .protection(let violations): violations.contains(.protectionKey) ? [.present, .protectionKey] : .present
      }
    if access.isUser { code.insert(.user) }
    if access.kind == .write { code.insert(.write) }
    var undetermined: PageFaultErrorCode = []
    if access.kind == .fetch {
      switch reportsFetches {
      case true?: code.insert(.fetch)
      case false?: break
      case nil: undetermined = .fetch
      }
    }
    return PageFault(cause: cause, structure: structure, errorCode: code, undeterminedBits: undetermined)
  }

  /// Whether an error code has F for a fetch: if CR4.SMEP is set, or EFER.NXE where it counts; nil where NXE is not
  /// known.
  private var reportsFetches: Bool? {
    if protection.supervisorExecutionPrevention { return true }
    let countsNXE = mode != .twoLevel || rules.quirks.contains(.fetchBitWithoutPAE)
    return countsNXE ? rules.executeDisableEnabled : false
  }
}
