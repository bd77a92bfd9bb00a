/// An access to guest-physical memory as EPT sees it.
public struct EPTAccess: Hashable, Sendable {
  /// What the guest-physical address was needed for: bits 8:7 of the exit qualification.
  public enum Purpose: Hashable, Sendable, CaseIterable {
    /// The page that a linear address translates to.
    case page
    /// An entry of the guest's own tables, on the way of a linear address.
    case guestTable
    /// No linear address: a load of the PDPTE registers, a trace packet.
    case noLinearAddress
  }

  public var kind: PageAccess.Kind
  public var purpose: Purpose
  /// Whether the linear address is a user-mode one by the guest's tables; mode-based execute control asks for it.
  public var isUserAddress: Bool

  @inlinable
  public init(_ kind: PageAccess.Kind, for purpose: Purpose = .page, isUserAddress: Bool = false) {
    self.kind = kind
    self.purpose = purpose
    self.isUserAddress = isUserAddress
  }
}

/// The exit qualification of an EPT violation (SDM vol. 3, table 28-7).
public struct EPTViolationQualification: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let read = Self(rawValue: 1 << 0)
  public static let write = Self(rawValue: 1 << 1)
  public static let fetch = Self(rawValue: 1 << 2)
  /// All entries of the walk, the failing one included, allow reads.
  public static let readable = Self(rawValue: 1 << 3)
  /// All entries of the walk allow writes.
  public static let writable = Self(rawValue: 1 << 4)
  /// All entries of the walk allow fetches; with mode-based execute control, the supervisor's.
  public static let executable = Self(rawValue: 1 << 5)
  /// With mode-based execute control: all entries of the walk allow fetches of the user.
  public static let userExecutable = Self(rawValue: 1 << 6)
  /// There is a guest linear address.
  public static let linearAddressValid = Self(rawValue: 1 << 7)
  /// The page of that address was accessed, and not an entry of the guest's tables.
  public static let finalAccess = Self(rawValue: 1 << 8)

  /// The flags that are set, in the order of their bits.
  public var names: [String] {
    let table: [(Self, String)] = [
      (.read, "read"), (.write, "write"), (.fetch, "fetch"), (.readable, "readable"), (.writable, "writable"),
      (.executable, "executable"), (.userExecutable, "user-executable"), (.linearAddressValid, "linear-valid"),
      (.finalAccess, "final"),
    ]
    return table.filter { contains($0.0) }.map { $0.1 }
  }
}

/// Extended page tables: the translation of guest-physical addresses on Intel processors (SDM vol. 3, 29.3).
public struct ExtendedPaging: Hashable, Sendable {
  public var pointer: EPTPointer
  public var rules: EPTRules

  public init(pointer: EPTPointer, rules: EPTRules = EPTRules()) {
    self.pointer = pointer
    self.rules = rules
  }
}

/// The translation of one guest-physical address by EPT, with every entry that was read.
public struct EPTWalk: Hashable, Sendable {
  public enum Outcome: Hashable, Sendable {
    case translated(EPTTranslation)
    /// The access is not allowed, or nothing is mapped: a VM exit, or #VE.
    case violation(EPTViolationQualification, at: PagingStructure)
    /// The entry makes no sense: a VM exit.
    case misconfiguration(EPTMisconfigurations, at: PagingStructure)
    /// The EPTP's walk length is none.
    case invalidPointer
    /// Whether the entry is misconfigured is not known.
    case possiblyMisconfigured(EPTMisconfigurations, at: PagingStructure)
    /// The table cannot be read.
    case tableUnavailable(UnavailableMemory, at: PagingStructure)
  }

  public let paging: ExtendedPaging
  public let address: PhysicalAddress
  public let access: EPTAccess
  public let outcome: Outcome
  let entries: WalkedEntries

  /// The host-physical address; nil unless the access is allowed.
  public var hostAddress: PhysicalAddress? {
    guard case .translated(let translation) = outcome else { return nil }
    return translation.hostAddress
  }
}

/// Where a guest-physical address leads.
public struct EPTTranslation: Hashable, Sendable {
  public var hostAddress: PhysicalAddress
  /// The structure whose entry maps the page.
  public var structure: PagingStructure
  /// The leaf, which has the memory type.
  public var entry: EPTEntry
  /// What all levels together allow.
  public var rights: EPTRights

  /// 4 KiB, 2 MiB or 1 GiB.
  public var pageSize: UInt64 { structure.span }
}

extension ExtendedPaging {
  /// Translates `address` for `access`, reading the tables from the host's `memory`.
  ///
  /// At each level the entry is read, then whether it is present, then whether it is misconfigured; the rights are held
  /// against the access once the page is found (SDM vol. 3, 29.3.3). Accessed and dirty bits are left alone.
  public func walk(
    _ address: PhysicalAddress, for access: EPTAccess, in memory: borrowing some PhysicalMemory
  ) -> EPTWalk {
    var entries = WalkedEntries()
    let outcome = outcome(of: address, for: access, in: memory, recording: &entries)
    return EPTWalk(paging: self, address: address, access: access, outcome: outcome, entries: entries)
  }

  private func outcome(
    of address: PhysicalAddress, for access: EPTAccess, in memory: borrowing some PhysicalMemory,
    recording entries: inout WalkedEntries
  ) -> EPTWalk.Outcome {
    guard var structure = pointer.rootStructure else { return .invalidPointer }
    // An address wider than the walk is a violation before any entry is read (SDM vol. 3, 29.3.3.2).
    guard structure == .pml5 || address.rawValue >> 48 == 0 else {
      return .violation(qualification(of: access, rights: [], userExecutable: false), at: structure)
    }
    var table = pointer.rootTable
    var rights = EPTRights.all
    var isUserExecutable = true
    while true {
      let entry: EPTEntry
      do throws(UnavailableMemory) {
        let place = structure.entryAddress(of: LinearAddress(address.rawValue), in: table)
        entry = EPTEntry(try memory.loadUInt64(at: place))
      } catch {
        return .tableUnavailable(error, at: structure)
      }
      entries.append(PageTableEntry(entry.rawValue))
      rights.formIntersection(entry.rights)
      isUserExecutable = isUserExecutable && entry.allowsUserExecution
      guard rules.isPresent(entry) else {
        return .violation(qualification(of: access, rights: rights, userExecutable: isUserExecutable), at: structure)
      }
      let misconfigurations = rules.misconfigurations(of: entry, at: structure)
      if !misconfigurations.definite.isEmpty { return .misconfiguration(misconfigurations.definite, at: structure) }
      if !misconfigurations.possible.isEmpty {
        return .possiblyMisconfigured(misconfigurations.possible, at: structure)
      }
      guard !entry.isLeaf(at: structure), let next = structure.next else {
        guard allows(access, rights: rights, userExecutable: isUserExecutable) else {
          return .violation(qualification(of: access, rights: rights, userExecutable: isUserExecutable), at: structure)
        }
        let offset = structure.span &- 1
        return .translated(
          EPTTranslation(
            hostAddress: PhysicalAddress(entry.table.rawValue & ~offset | address.rawValue & offset),
            structure: structure, entry: entry, rights: rights))
      }
      table = entry.table
      structure = next
    }
  }

  /// With accessed and dirty flags on, an access to the guest's tables counts as a write (SDM vol. 3, 29.3.3.2).
  private func countsAsWrite(_ access: EPTAccess) -> Bool {
    access.kind == .write || access.purpose == .guestTable && pointer.enablesAccessedAndDirty
  }

  private func allows(_ access: EPTAccess, rights: EPTRights, userExecutable: Bool) -> Bool {
    if countsAsWrite(access) { return rights.isSuperset(of: [.read, .write]) }
    switch access.kind {
    case .read, .write: return rights.contains(.read)
    case .fetch:
      let usesUserBit = rules.hasModeBasedExecuteControl && access.isUserAddress
      return usesUserBit ? userExecutable : rights.contains(.execute)
    }
  }

  private func qualification(
    of access: EPTAccess, rights: EPTRights, userExecutable: Bool
  ) -> EPTViolationQualification {
    var bits = EPTViolationQualification(rawValue: UInt64(rights.rawValue) << 3)
    switch access.kind {
    case .read: bits.insert(.read)
    case .write: bits.insert(.write)
    case .fetch: bits.insert(.fetch)
    }
    if access.purpose == .guestTable && pointer.enablesAccessedAndDirty { bits.formUnion([.read, .write]) }
    if rules.hasModeBasedExecuteControl && userExecutable { bits.insert(.userExecutable) }
    switch access.purpose {
    case .page: bits.formUnion([.linearAddressValid, .finalAccess])
    case .guestTable: bits.insert(.linearAddressValid)
    case .noLinearAddress: break
    }
    return bits
  }
}

/// One entry that a walk of extended page tables read.
public struct EPTWalkStep: Hashable, Sendable {
  public var structure: PagingStructure
  /// The number of the entry in its table, 0 to 511.
  public var index: Int
  public var entryAddress: PhysicalAddress
  public var entry: EPTEntry
  /// Whether the walk ended here without a translation.
  public var isRefused: Bool
}

extension EPTWalk {
  /// The entries that were read, from the root down. A table that could not be read has no step.
  public var steps: [EPTWalkStep] {
    guard var structure = paging.pointer.rootStructure else { return [] }
    var table = paging.pointer.rootTable
    var steps: [EPTWalkStep] = []
    let address = LinearAddress(self.address.rawValue)
    for position in 0..<entries.count {
      let entry = EPTEntry(entries.storage[position])
      let isLast = position == entries.count - 1
      steps.append(
        EPTWalkStep(
          structure: structure, index: structure.index(of: address),
          entryAddress: structure.entryAddress(of: address, in: table), entry: entry,
          isRefused: isLast && endsInRefusal))
      table = entry.table
      structure = structure.next ?? structure
    }
    return steps
  }

  private var endsInRefusal: Bool {
    switch outcome {
    case .translated, .invalidPointer, .tableUnavailable: false
    case .violation, .misconfiguration, .possiblyMisconfigured: true
    }
  }
}
