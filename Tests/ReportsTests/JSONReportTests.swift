import Foundation
import Investigation
import JSONDocuments
import Reports
import Testing

@Suite("JSON report")
struct JSONReportTests {
  static let verdicts: [(String, Verdict)] = [
    ("everything", sampleVerdict()),
    ("nothing", Verdict(outcome: .undetermined, ending: "Nobody knows.")),
  ]

  @Test("fits the schema in docs", arguments: verdicts)
  func fitsSchema(_ label: String, _ verdict: Verdict) throws {
    let schema = try JSONSchema.ofVerdicts()
    #expect(schema.problems(in: try JSONValue(JSONReport().text(of: verdict))) == [], "\(label)")
  }

  static let spoilt: [(String, JSONValue)] = [
    ("outcome", .string("lived")), ("schema", .number(2)), ("ending", .number(1)), ("surprise", .string("x")),
    ("walk", .object(["address": .string("12")])), ("chain", .array([.string("x")])),
  ]

  @Test("the schema refuses what is not a verdict", arguments: spoilt)
  func schemaRefuses(_ key: String, _ value: JSONValue) throws {
    var document = try JSONValue(JSONReport().text(of: sampleVerdict()))
    document[key] = value
    #expect(!(try JSONSchema.ofVerdicts().problems(in: document).isEmpty))
  }

  @Test("addresses are hexadecimal strings and what is not known is null")
  func values() throws {
    let document = try JSONValue(JSONReport().text(of: sampleVerdict()))
    #expect(document["fault"]?["address"] == .string("0x10006d"))
    #expect(document["fault"]?["errorCode"] == .string("0x9"))
    #expect(document["fault"]?["instruction"] == .null)
    #expect(document["remedies"]?.array?.first?["available"] == .boolean(true))
    #expect(document["remedies"]?.array?.first?["verified"] == .null)
  }
}
