public import X86

/// What Inquest concludes about one guest, from the answer to the evidence.
public struct Verdict: Hashable, Sendable {
  public var outcome: Outcome
  /// What ended, in one sentence (`The guest triple-faulted.`).
  public var ending: String
  /// Nil where no cause was found, and for a guest that did not die.
  public var cause: Cause?
  public var fault: Fault?
  /// The level of virtual machines inside each other at which the fault was: 1 for the guest that QEMU runs, 2 for a guest
  /// of that one; nil where that is not known.
  public var level: Int?
  /// The events from the first fault to the death, in order.
  public var chain: [Evidence]
  public var walk: WalkAccount?
  /// The way through KVM's code to the walk that failed, from the outermost function in; empty where nothing tells it.
  public var path: [KVMPathStep]
  public var remedies: [Remedy]
  /// What came of running the guest again with them, in order; empty where that was not asked for.
  public var trials: [Trial]
  /// Mistakes that did not kill this guest here, and where they would.
  public var warnings: [Warning]
  /// What else the evidence shows: facts, not guesses.
  public var observations: [Evidence]
  public var evidence: [Evidence]
  public var missing: [Missing]

  public init(outcome: Outcome, ending: String) {
    self.outcome = outcome
    self.ending = ending
    chain = []
    path = []
    remedies = []
    trials = []
    warnings = []
    observations = []
    evidence = []
    missing = []
  }
}

/// How the guest ended.
public enum Outcome: String, Hashable, Sendable {
  case died
  case ended
  /// It was still there when its time was over, and can get nowhere.
  case hung
  /// The evidence does not tell whether the guest died.
  case undetermined
}

/// A cause of death, or of a death to come.
public struct Cause: Hashable, Sendable {
  /// The stable identifier (`paging.reserved-bit`).
  public var id: String
  public var title: String
  /// One or two sentences: what is wrong, where, and which rule it breaks.
  public var summary: String
  public var confidence: Confidence

  public init(id: String, title: String, summary: String, confidence: Confidence) {
    self.id = id
    self.title = title
    self.summary = summary
    self.confidence = confidence
  }
}

/// How firmly a cause is established.
public enum Confidence: String, Hashable, Sendable {
  /// A recorded fact and the reenactment agree.
  case proven
  /// One of the two.
  case likely
  /// Neither contradicts it.
  case possible
}

/// The first exception of the chain that ended the guest.
public struct Fault: Hashable, Sendable {
  public var vector: ExceptionVector
  public var errorCode: UInt32?
  /// The linear address that was accessed, for a page fault.
  public var address: LinearAddress?
  /// The linear address of the instruction; nil where nothing shows it.
  public var instructionPointer: LinearAddress?
  /// The number of the vCPU; nil where there is one alone, or nothing tells.
  public var processor: Int?
  /// The instruction, disassembled.
  public var instruction: String?
  /// The function that holds the instruction, with the offset (`_start+0x6d`).
  public var symbol: String?
  /// The source line (`boot.s:34`).
  public var source: String?

  public init(
    vector: ExceptionVector, errorCode: UInt32?, address: LinearAddress?, instructionPointer: LinearAddress?
  ) {
    self.vector = vector
    self.errorCode = errorCode
    self.address = address
    self.instructionPointer = instructionPointer
  }
}

/// A page walk as a verdict shows it.
public struct WalkAccount: Hashable, Sendable {
  /// One entry that the walk read.
  public struct Level: Hashable, Sendable {
    /// The entry's name by level (`PML4E`, `PDPTE`).
    public var table: String
    public var index: Int
    /// Where the entry lies; nil where the table's address is not known.
    public var entryAddress: PhysicalAddress?
    /// In a nested guest: the same place by its hypervisor's physical addresses; nil where that is not known.
    public var hypervisorAddress: PhysicalAddress?
    public var value: UInt64
    public var flags: [String]
    /// The bits that made the walk fail here; zero for an entry that was accepted.
    public var offendingBits: UInt64
    /// `ok`, or what is wrong.
    public var verdict: String

    public init(
      table: String, index: Int, entryAddress: PhysicalAddress?, value: UInt64, flags: [String],
      offendingBits: UInt64, verdict: String
    ) {
      self.table = table
      self.index = index
      self.entryAddress = entryAddress
      self.value = value
      self.flags = flags
      self.offendingBits = offendingBits
      self.verdict = verdict
    }
  }

  public var address: LinearAddress
  /// CR3; nil where nothing shows it.
  public var root: UInt64?
  public var levels: [Level]

  public init(address: LinearAddress, root: UInt64?, levels: [Level]) {
    self.address = address
    self.root = root
    self.levels = levels
  }
}

/// A change that would cure the guest.
public struct Remedy: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable {
    case commandLine = "command-line"
    case guest
    case host
  }

  public var kind: Kind
  /// What to change: an option as it is typed, or a sentence.
  public var change: String
  public var reason: String
  /// Whether it can work on this host; nil where that was not or cannot be asked.
  public var available: Bool?
  /// Whether a run with the change lived; nil where it was not tried, or where it showed nothing.
  public var verified: Bool?
  /// Name and value of the option that `change` is; nil where it is none that could be typed.
  public var option: [String]?

  public init(kind: Kind, change: String, reason: String, available: Bool?) {
    self.kind = kind
    self.change = change
    self.reason = reason
    self.available = available
  }
}

/// A mistake that did not kill the guest here but would elsewhere.
public struct Warning: Hashable, Sendable {
  /// The cause that it would be there.
  public var cause: Cause
  /// Where it would kill (`KVM with shadow paging, any version; KVM before Linux 5.14`).
  public var condition: String
  public var walk: WalkAccount?
  public var remedies: [Remedy]

  public init(cause: Cause, condition: String, walk: WalkAccount?, remedies: [Remedy]) {
    self.cause = cause
    self.condition = condition
    self.walk = walk
    self.remedies = remedies
  }
}

/// Evidence that would have helped, and how to get it.
public struct Missing: Hashable, Sendable {
  public var what: String
  public var how: String

  public init(what: String, how: String) {
    self.what = what
    self.how = how
  }
}
