/// What several walkers make of the same thing.
public struct WalkerOpinions<Subject: WalkerSubject>: Sendable {
  /// What one of them makes of it.
  public struct Opinion: Sendable {
    public var walker: Walker
    public var subject: Subject
  }

  /// In the order of the walkers that were asked.
  public var opinions: [Opinion]

  /// The walkers that let it pass.
  public var accepting: [Walker] { walkers(of: .accepted) }
  /// The walkers that refuse it.
  public var refusing: [Walker] { walkers(of: .refused) }
  /// The walkers of which what is known does not tell.
  public var undecided: [Walker] { walkers(of: .undecided) }
  /// Whether some accept what others refuse.
  public var areDivided: Bool { !accepting.isEmpty && !refusing.isEmpty }

  private func walkers(of judgement: WalkerJudgement) -> [Walker] {
    opinions.filter { $0.subject.judgement == judgement }.map(\.walker)
  }
}

/// Whether a walker lets something pass.
public enum WalkerJudgement: Hashable, Sendable, CaseIterable {
  case accepted
  case refused
  /// What is known does not tell.
  case undecided
}

/// Something that a walker accepts or refuses.
public protocol WalkerSubject: Sendable {
  var judgement: WalkerJudgement { get }
}

extension PageWalk: WalkerSubject {
  /// Whether the access is allowed.
  public var judgement: WalkerJudgement {
    switch outcome {
    case .translated, .unpaged: .accepted
    case .pageFault, .notCanonical, .pdpteNotLoadable: .refused
    case .undetermined: .undecided
    }
  }
}

extension ReservedBitViolations: WalkerSubject {
  /// Whether a walk goes past the entry, if it is present.
  public var judgement: WalkerJudgement { isEmpty ? .accepted : areDefinite ? .refused : .undecided }
}

extension Paging {
  /// The same address space as `walker` sees it.
  public func seen(by walker: Walker, _ inputs: WalkerInputs) -> Paging {
    var paging = self
    paging.rules = walker.rules(for: inputs)
    return paging
  }

  /// The walk of `address` by each of the walkers.
  ///
  /// The rules of this address space do not count: each walker has its own.
  public func opinions(
    of walkers: [Walker], on address: LinearAddress, for access: PageAccess, in memory: borrowing some PhysicalMemory,
    _ inputs: WalkerInputs
  ) -> WalkerOpinions<PageWalk> {
    var opinions: [WalkerOpinions<PageWalk>.Opinion] = []
    for walker in walkers {
      let walk = seen(by: walker, inputs).walk(address, for: access, in: memory)
      opinions.append(.init(walker: walker, subject: walk))
    }
    return WalkerOpinions(opinions: opinions)
  }
}

extension WalkerInputs {
  /// What each of the walkers says of the reserved bits of one entry.
  public func opinions(
    of walkers: [Walker], on entry: PageTableEntry, at structure: PagingStructure, in format: TableFormat = .longMode
  ) -> WalkerOpinions<ReservedBitViolations> {
    WalkerOpinions(
      opinions: walkers.map {
        .init(walker: $0, subject: $0.rules(for: self).violations(of: entry, at: structure, in: format))
      })
  }
}
