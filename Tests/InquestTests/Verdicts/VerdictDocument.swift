import Foundation
import JSONDocuments
import Testing

/// What the tests read of a verdict's JSON.
struct VerdictDocument: Decodable {
  struct Cause: Decodable { let id, title, summary, confidence: String }

  struct Fault: Decodable {
    let vector: Int
    let errorCode, address, instructionPointer, instruction, symbol, source: String?
  }

  struct Walk: Decodable {
    struct Level: Decodable {
      let table, value, offendingBits: String
      let entryAddress, hypervisorAddress: String?
    }

    let address: String
    let root: String?
    let levels: [Level]
  }

  struct Remedy: Decodable {
    let kind, change: String
    let available, verified: Bool?
  }

  struct Trial: Decodable {
    let remedy, step: Int
    let changes: [String]
    let result, account: String
    let lastOutput: String?
    let cause: Cause?
    let fault: Fault?
  }

  struct Warning: Decodable {
    let cause: Cause
    let condition: String
    let walk: Walk?
    let remedies: [Remedy]
  }

  struct PathStep: Decodable {
    let function: String
    let depth: Int
    let given: [String]
    let answer: String?
  }

  struct Evidence: Decodable { let text, source: String }

  struct Missing: Decodable { let what, how: String }

  let outcome, ending: String
  let cause: Cause?
  let fault: Fault?
  let level: Int?
  let walk: Walk?
  let path: [PathStep]?
  let remedies: [Remedy]
  let trials: [Trial]
  let warnings: [Warning]
  let chain, observations, evidence: [Evidence]
  let missing: [Missing]

  /// The verdict in `text`, which must fit the schema.
  init(_ text: String, of finished: FinishedCommand, sourceLocation: SourceLocation) throws {
    let document = try #require(try? JSONValue(text), "no verdict from \(finished)", sourceLocation: sourceLocation)
    #expect(try JSONSchema.ofVerdicts().problems(in: document) == [], "\(text)", sourceLocation: sourceLocation)
    self = try JSONDecoder().decode(Self.self, from: Data(text.utf8))
  }
}

extension [VerdictDocument.Evidence] {
  /// Whether one of them has all these words.
  func mention(_ words: String...) -> Bool {
    contains { evidence in words.allSatisfy(evidence.text.contains) }
  }
}
