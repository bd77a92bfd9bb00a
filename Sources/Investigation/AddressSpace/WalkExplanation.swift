public import X86

/// A page walk in words: each entry with the checks made on it, in their order, and what comes of the access.
public struct WalkExplanation: Hashable, Sendable {
  /// One check, and how it went.
  public struct Check: Hashable, Sendable {
    public enum Outcome: String, Hashable, Sendable {
      case passed
      case failed
      /// What decides is not known.
      case unknown
    }

    public var outcome: Outcome
    public var words: String

    public init(_ outcome: Outcome, _ words: String) {
      self.outcome = outcome
      self.words = words
    }
  }

  /// An entry that was read.
  public struct Level: Hashable, Sendable {
    public var step: WalkStep
    /// The set flags by name.
    public var flags: [String]
    public var checks: [Check]
  }

  public let walk: PageWalk
  public let levels: [Level]
  /// The checks on the page as a whole: what all levels together allow. Empty where the walk did not come that far.
  public let protection: [Check]
  /// What comes of the access, in a sentence.
  public let outcome: String

  public init(_ walk: PageWalk) {
    self.walk = walk
    let format = walk.paging.format ?? .longMode
    levels = walk.steps.map { step in
      Level(
        step: step, flags: step.entry.flagNames(at: step.structure, in: format),
        checks: Self.checks(of: step, in: walk, format))
    }
    protection = Self.protectionChecks(of: walk)
    outcome = Self.words(for: walk)
  }

  // MARK: The entries

  private static func checks(of step: WalkStep, in walk: PageWalk, _ format: TableFormat) -> [Check] {
    guard step.entry.isPresent else { return [Check(.failed, "P is clear: not present")] }
    var checks = [Check(.passed, "present")]
    switch step.verdict {
    case .reservedBits(let violations):
      return checks
        + violations.filter(\.isDefinite).map { violation in
          Check(.failed, "\(reserved(violation.bits)): \(violation.rule.words)")
        }
    case .possiblyReservedBits(let violations):
      return checks
        + violations.map { violation in
          Check(.unknown, "\(reserved(violation.bits)) perhaps: \(violation.rule.words)")
        }
    case .accepted, .denied, .notPresent, .protectionKeyUnknown:
      checks.append(Check(.passed, "no reserved bit is set"))
    }
    checks.append(lead(of: step, in: walk, format))
    return checks
  }

  private static func reserved(_ bits: UInt64) -> String {
    "\(bitNames(bits)) \(bits.nonzeroBitCount == 1 ? "is" : "are") reserved"
  }

  /// Where the entry leads.
  private static func lead(of step: WalkStep, in walk: PageWalk, _ format: TableFormat) -> Check {
    if let page = step.entry.page(at: step.structure, in: format) {
      return Check(.passed, "maps a \(sizeName(format.span(of: step.structure))) page at \(page.rawValue.hexadecimal)")
    }
    let next = step.structure.next?.longName ?? "table"
    let words = "leads to the \(next) at \(step.entry.table.rawValue.hexadecimal)"
    guard let memory = missingTable(behind: step, in: walk) else { return Check(.passed, words) }
    let why = "\(words), \(memory.reason.words)"
    if case .pageFault = walk.outcome { return Check(.failed, why) }
    return Check(.unknown, why)
  }

  /// The table behind the last entry, if it is why the walk ended.
  private static func missingTable(behind step: WalkStep, in walk: PageWalk) -> UnavailableMemory? {
    guard step == walk.steps.last else { return nil }
    switch walk.outcome {
    case .pageFault(let fault):
      guard case .tableUnbacked(let memory) = fault.cause else { return nil }
      return memory
    case .undetermined(.tableUnavailable(let memory), at: _): return memory
    default: return nil
    }
  }

  // MARK: Protection

  private static func protectionChecks(of walk: PageWalk) -> [Check] {
    switch walk.outcome {
    case .translated(let translation):
      return [Check(.passed, "\(translation.rights.words): the access is allowed")]
    case .pageFault(let fault):
      guard case .protection(let violations) = fault.cause else { return [] }
      return violations.words(walk.paging.protection).map { Check(.failed, $0) }
    case .undetermined(.protectionKey(let key), at: _):
      return [Check(.unknown, "protection key \(key) decides, and \(keyRegister(walk)) is not known")]
    default: return []
    }
  }

  private static func keyRegister(_ walk: PageWalk) -> String {
    walk.steps.allSatisfy(\.entry.isUser) ? "PKRU" : "IA32_PKRS"
  }

  // MARK: The outcome

  private static func words(for walk: PageWalk) -> String {
    switch walk.outcome {
    case .translated(let translation):
      return
        "\(walk.address.rawValue.hexadecimal) is at physical \(translation.physicalAddress.rawValue.hexadecimal), in a "
        + "\(sizeName(translation.pageSize)) page: \(translation.rights.words)"
    case .unpaged(let physical): return "No paging: the address is physical \(physical.rawValue.hexadecimal)"
    case .pageFault(let fault):
      let perhaps =
        fault.undeterminedBits.isEmpty ? "" : ", perhaps with \(fault.undeterminedBits.names.joined(separator: "|"))"
      return "#PF, error code \(fault.errorCode.words)\(perhaps)"
    case .notCanonical: return "#GP (#SS for a stack access): the address is not canonical, and no table is read"
    case .pdpteNotLoadable(let fault):
      return "PDPTE \(fault.index) cannot have been loaded as it stands in memory: a load raises #GP"
    case .undetermined(let doubt, at: let structure): return "Not decided: \(doubt.words(at: structure))"
    }
  }
}

extension UnavailableMemory.Reason {
  /// Why bytes cannot be had, to follow a place.
  public var words: String {
    switch self {
    case .unbacked: "where there is no memory"
    case .device: "where a device answers"
    case .notCaptured: "which is not among the memory at hand"
    }
  }
}

extension PageRights {
  /// `read, write, execute; supervisor only`.
  public var words: String {
    let kinds = ["read", contains(.write) ? "write" : nil, contains(.execute) ? "execute" : nil].compactMap(\.self)
    return "\(kinds.joined(separator: ", ")); \(contains(.user) ? "user and supervisor" : "supervisor only")"
  }
}

extension ProtectionViolations {
  /// Each denial, with the control bit that is its reason.
  fileprivate func words(_ protection: PageProtection) -> [String] {
    let all: [(ProtectionViolations, String)] = [
      (.supervisorOnly, "a user's access to a supervisor page: U/S is clear at some level"),
      (
        .readOnly,
        "a write to a read-only page: R/W is clear at some level"
          + (protection.writeProtect ? ", and CR0.WP is set" : "")
      ),
      (.executeDisabled, "a fetch from a page without execution: XD is set at some level"),
      (.supervisorExecution, "the supervisor fetches from a user page: CR4.SMEP is set"),
      (.supervisorAccess, "the supervisor accesses a user page: CR4.SMAP is set and RFLAGS.AC does not lift it"),
      (.protectionKey, "the page's protection key forbids it"),
    ]
    return all.filter { contains($0.0) }.map(\.1)
  }
}
