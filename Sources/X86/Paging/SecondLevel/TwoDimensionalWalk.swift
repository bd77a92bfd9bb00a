/// What translates guest-physical addresses.
public enum SecondLevelPaging: Hashable, Sendable {
  case ept(ExtendedPaging)
  case npt(NestedPaging)
}

/// The translation of one guest-physical address.
public enum SecondLevelWalk: Hashable, Sendable {
  case ept(EPTWalk)
  case npt(PageWalk)

  /// The host-physical address; nil unless the access is allowed.
  public var hostAddress: PhysicalAddress? {
    switch self {
    case .ept(let walk): walk.hostAddress
    case .npt(let walk): walk.outcome.physicalAddress
    }
  }
}

extension SecondLevelPaging {
  /// What an access to guest-physical memory is made for.
  public enum Purpose: Hashable, Sendable {
    /// An entry of this structure of the guest's own tables.
    case guestTable(PagingStructure)
    /// The page of the linear address.
    case page
  }

  /// Translates a guest-physical address, reading the tables from the host's `memory`.
  ///
  /// An access to the guest's tables is a write under NPT (APM vol. 2, 15.25.6), and under EPT with accessed and dirty
  /// flags.
  ///
  /// - Parameter isUserAddress: Whether the guest's tables call the linear address a user-mode one.
  public func walk(
    _ address: PhysicalAddress, for kind: PageAccess.Kind, _ purpose: Purpose, isUserAddress: Bool = false,
    in memory: borrowing some PhysicalMemory
  ) -> SecondLevelWalk {
    switch (self, purpose) {
    case (.ept(let paging), .page):
      .ept(paging.walk(address, for: EPTAccess(kind, for: .page, isUserAddress: isUserAddress), in: memory))
    case (.ept(let paging), .guestTable):
      .ept(paging.walk(address, for: EPTAccess(.read, for: .guestTable), in: memory))
    case (.npt(let paging), .page): .npt(paging.walk(address, for: kind, in: memory))
    case (.npt(let paging), .guestTable): .npt(paging.walk(address, for: .write, in: memory))
    }
  }
}

/// The guest's physical memory as its tables are read: each address goes through the second level first.
///
/// What the second level refuses is unavailable here; asking it again tells why.
struct SecondLevelMemory<Host: PhysicalMemory>: PhysicalMemory {
  let paging: SecondLevelPaging
  let host: Host

  func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    // An aligned entry, which is all that a walk reads, lies in one page.
    let walk = paging.walk(address, for: .read, .guestTable(.pageTable), in: host)
    guard let place = walk.hostAddress, address.rawValue & 0xFFF + UInt64(buffer.count) <= 0x1000 else {
      throw UnavailableMemory(address: address, reason: .notCaptured)
    }
    do throws(UnavailableMemory) {
      try host.read(place, into: &buffer)
    } catch {
      throw UnavailableMemory(address: address, reason: .notCaptured)
    }
  }
}

/// The translation of a nested guest's linear address: the guest's own walk, each of whose accesses to a table is itself
/// translated by EPT or NPT, and at last the page's address.
public struct TwoDimensionalWalk: Hashable, Sendable {
  public enum Outcome: Hashable, Sendable {
    /// The access is allowed in both dimensions and goes to this host-physical address.
    case translated(PhysicalAddress, last: SecondLevelWalk)
    /// The guest's own tables end it: a fault for the guest, or a doubt about them.
    case endedByGuest
    /// The second dimension ends it, on the way to one of the guest's tables or to the page: a VM exit, or a doubt.
    case endedBySecondLevel(SecondLevelWalk, SecondLevelPaging.Purpose)
    /// The second dimension maps the guest's table, and what lies there is not known.
    case tableUnavailable(host: PhysicalAddress, PagingStructure)
  }

  /// The walk of the guest's tables. Where the second dimension ended it, it ends with that table unavailable.
  public let guest: PageWalk
  public let outcome: Outcome
}

extension SecondLevelPaging {
  /// Translates a linear address of a guest whose paging is `guest`, reading both dimensions' tables from the host's
  /// `memory`.
  public func walk<Memory: PhysicalMemory>(
    _ address: LinearAddress, for access: PageAccess, of guest: Paging, in memory: Memory
  ) -> TwoDimensionalWalk {
    let walk = guest.walk(address, for: access, in: SecondLevelMemory(paging: self, host: memory))
    switch walk.outcome {
    case .undetermined(.tableUnavailable(let table), at: let structure):
      let failed = self.walk(table.address, for: .read, .guestTable(structure), in: memory)
      guard let host = failed.hostAddress else {
        return TwoDimensionalWalk(guest: walk, outcome: .endedBySecondLevel(failed, .guestTable(structure)))
      }
      return TwoDimensionalWalk(guest: walk, outcome: .tableUnavailable(host: host, structure))
    case .translated(let translation):
      return page(
        translation.physicalAddress, isUserAddress: translation.rights.contains(.user), for: access, of: walk,
        in: memory)
    case .unpaged(let physical):
      return page(physical, isUserAddress: access.isUser, for: access, of: walk, in: memory)
    case .pageFault, .notCanonical, .pdpteNotLoadable, .undetermined:
      return TwoDimensionalWalk(guest: walk, outcome: .endedByGuest)
    }
  }

  private func page(
    _ address: PhysicalAddress, isUserAddress: Bool, for access: PageAccess, of guest: PageWalk,
    in memory: borrowing some PhysicalMemory
  ) -> TwoDimensionalWalk {
    let last = walk(address, for: access.kind, .page, isUserAddress: isUserAddress, in: memory)
    guard let host = last.hostAddress else {
      return TwoDimensionalWalk(guest: guest, outcome: .endedBySecondLevel(last, .page))
    }
    return TwoDimensionalWalk(guest: guest, outcome: .translated(host, last: last))
  }

  /// How the guest's tables were reached: the translation of each entry's address that `walk` read, from the root down.
  public func tableAccesses(
    of walk: TwoDimensionalWalk, in memory: borrowing some PhysicalMemory
  ) -> [SecondLevelWalk] {
    var accesses: [SecondLevelWalk] = []
    for step in walk.guest.steps {
      accesses.append(self.walk(step.entryAddress, for: .read, .guestTable(step.structure), in: memory))
    }
    return accesses
  }
}

extension TwoDimensionalWalk {
  /// EXITINFO1 of the nested page fault that the walk ends in; nil unless it does, under NPT.
  public var nestedPageFault: NestedPageFaultInformation? {
    guard case .endedBySecondLevel(.npt(let walk), let purpose) = outcome, case .pageFault(let fault) = walk.outcome
    else { return nil }
    return NestedPageFaultInformation(errorCode: fault.errorCode, isFinalAccess: purpose == .page)
  }
}
