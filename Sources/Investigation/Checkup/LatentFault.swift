public import X86

/// A fault that a guest which still lives has not had yet.
public struct LatentFault: Hashable, Sendable {
  /// How bad it is.
  public enum Severity: String, Hashable, Sendable, Comparable, CaseIterable {
    /// What brings it on kills the guest: it cannot be handled.
    case fatal
    /// The guest dies of it elsewhere, or it may not be what was meant.
    case warning
    /// Worth knowing; many guests mean it so.
    case note

    public static func < (a: Self, b: Self) -> Bool {
      allCases.firstIndex(of: a) ?? 0 < allCases.firstIndex(of: b) ?? 0
    }
  }

  /// The stable identifier of the cause of death that it would be.
  public var id: String
  public var severity: Severity
  /// What is so, and what will bring it on.
  public var words: String
  /// What to do about it.
  public var remedy: String
  /// The walkers that refuse what is so; empty where it does not hang on the walker.
  public var refusing: [Walker]
  /// The walkers that accept it.
  public var accepting: [Walker]
  /// An example of it: the walk that fails.
  public var walk: PageWalk?
  /// Where the facts came from.
  public var source: Source

  init(
    _ id: String, _ severity: Severity, _ words: String, remedy: String, source: Source, refusing: [Walker] = [],
    accepting: [Walker] = [], walk: PageWalk? = nil
  ) {
    self.id = id
    self.severity = severity
    self.words = words
    self.remedy = remedy
    self.source = source
    self.refusing = refusing
    self.accepting = accepting
    self.walk = walk
  }
}
