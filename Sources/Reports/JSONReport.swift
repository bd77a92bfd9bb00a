public import Investigation
import X86

/// A verdict as JSON, in the form that docs/verdict.schema.json describes.
///
/// Addresses and register values are hexadecimal strings, since JSON's numbers do not hold 64 bits. A key whose value
/// is not known holds null, so that every document has every key.
public struct JSONReport {
  /// The version of the form. It is raised when a key is renamed or changes its meaning, not when one is added.
  public static let schema = 1

  public init() {}

  /// The document's text, ending in a newline.
  public func text(of verdict: Verdict) -> String { jsonText(VerdictDocument(verdict)) }
}

private struct VerdictDocument: Encodable {
  let schema = JSONReport.schema
  let outcome: String
  let ending: String
  @Null var cause: CauseDocument?
  @Null var fault: FaultDocument?
  @Null var level: Int?
  let chain: [EvidenceDocument]
  @Null var walk: WalkDocument?
  let path: [PathStepDocument]
  let remedies: [RemedyDocument]
  let trials: [TrialDocument]
  let warnings: [WarningDocument]
  let observations: [EvidenceDocument]
  let evidence: [EvidenceDocument]
  let missing: [MissingDocument]

  init(_ verdict: Verdict) {
    outcome = verdict.outcome.rawValue
    ending = verdict.ending
    cause = verdict.cause.map(CauseDocument.init)
    fault = verdict.fault.map(FaultDocument.init)
    level = verdict.level
    chain = verdict.chain.map(EvidenceDocument.init)
    walk = verdict.walk.map(WalkDocument.init)
    path = verdict.path.map(PathStepDocument.init)
    remedies = verdict.remedies.map(RemedyDocument.init)
    trials = verdict.trials.map(TrialDocument.init)
    warnings = verdict.warnings.map(WarningDocument.init)
    observations = verdict.observations.map(EvidenceDocument.init)
    evidence = verdict.evidence.map(EvidenceDocument.init)
    missing = verdict.missing.map { MissingDocument(what: $0.what, how: $0.how) }
  }
}

private struct CauseDocument: Encodable {
  let id, title, summary, confidence: String

  init(_ cause: Cause) {
    id = cause.id
    title = cause.title
    summary = cause.summary
    confidence = cause.confidence.rawValue
  }
}

private struct FaultDocument: Encodable {
  @Null var vector: Int?
  @Null var name: String?
  @Null var errorCode: String?
  @Null var address: String?
  @Null var instructionPointer: String?
  @Null var processor: Int?
  @Null var instruction: String?
  @Null var symbol: String?
  @Null var source: String?

  init(_ fault: Fault) {
    vector = Int(fault.vector.rawValue)
    name = fault.vector.name
    errorCode = fault.errorCode.map { $0.hexadecimal }
    address = fault.address.map { $0.rawValue.hexadecimal }
    instructionPointer = fault.instructionPointer.map { $0.rawValue.hexadecimal }
    processor = fault.processor
    instruction = fault.instruction
    symbol = fault.symbol
    source = fault.source
  }
}

private struct WalkDocument: Encodable {
  let address: String
  @Null var root: String?
  let levels: [LevelDocument]

  init(_ walk: WalkAccount) {
    address = walk.address.rawValue.hexadecimal
    levels = walk.levels.map(LevelDocument.init)
    root = walk.root.map(\.hexadecimal)
  }
}

private struct LevelDocument: Encodable {
  let table: String
  let index: Int
  @Null var entryAddress: String?
  @Null var hypervisorAddress: String?
  let value: String
  let flags: [String]
  let offendingBits: String
  let verdict: String

  init(_ level: WalkAccount.Level) {
    table = level.table
    index = level.index
    value = level.value.hexadecimal
    flags = level.flags
    offendingBits = level.offendingBits.hexadecimal
    verdict = level.verdict
    entryAddress = level.entryAddress.map { $0.rawValue.hexadecimal }
    hypervisorAddress = level.hypervisorAddress.map { $0.rawValue.hexadecimal }
  }
}

private struct PathStepDocument: Encodable {
  let function: String
  let depth: Int
  @Null var role: String?
  let given: [String]
  @Null var answer: String?
  let evidence: EvidenceDocument

  init(_ step: KVMPathStep) {
    function = step.function
    depth = step.depth
    given = step.given
    evidence = EvidenceDocument(Evidence(step.function, step.source))
    role = step.role
    answer = step.answer
  }
}

private struct RemedyDocument: Encodable {
  let kind, change, reason: String
  @Null var available: Bool?
  @Null var verified: Bool?

  init(_ remedy: Remedy) {
    kind = remedy.kind.rawValue
    change = remedy.change
    reason = remedy.reason
    available = remedy.available
    verified = remedy.verified
  }
}

private struct TrialDocument: Encodable {
  let remedy, step: Int
  let changes: [String]
  let result, account: String
  @Null var duration: String?
  @Null var lastOutput: String?
  @Null var cause: CauseDocument?
  @Null var fault: FaultDocument?
  let remedies: [RemedyDocument]

  init(_ trial: Trial) {
    remedy = trial.remedy
    step = trial.step
    changes = trial.changes
    result = trial.result.rawValue
    account = trial.account
    remedies = trial.remedies.map(RemedyDocument.init)
    duration = trial.duration.map(seconds)
    lastOutput = trial.lastOutput
    cause = trial.cause.map(CauseDocument.init)
    fault = trial.fault.map(FaultDocument.init)
  }
}

private struct WarningDocument: Encodable {
  let cause: CauseDocument
  let condition: String
  @Null var walk: WalkDocument?
  let remedies: [RemedyDocument]

  init(_ warning: Warning) {
    cause = CauseDocument(warning.cause)
    condition = warning.condition
    remedies = warning.remedies.map(RemedyDocument.init)
    walk = warning.walk.map(WalkDocument.init)
  }
}

private struct EvidenceDocument: Encodable {
  let text: String
  let source: String
  @Null var time: String?

  init(_ evidence: Evidence) {
    text = evidence.text
    source = evidence.source.description
    time = evidence.source.time.map(seconds)
  }
}

private struct MissingDocument: Encodable {
  let what, how: String
}
