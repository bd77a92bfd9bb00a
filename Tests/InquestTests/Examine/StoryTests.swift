import Foundation
import Testing

/// A form in which a trace or a dump reaches Inquest.
enum Delivery: CaseIterable, CustomTestStringConvertible {
  case files
  case pasted
  case pastedInReverse
  case withWindowsLineEnds
  case quotedInMail

  var testDescription: String {
    switch self {
    case .files: "as files"
    case .pasted: "pasted"
    case .pastedInReverse: "pasted, the last first"
    case .withWindowsLineEnds: "pasted with CR LF"
    case .quotedInMail: "pasted from a mail that quotes it"
    }
  }

  /// What `examine` is given: files, and standard input.
  func arguments(_ names: [String]) throws -> ([String], [UInt8]) {
    if self == .files { return (names.map(fixture), []) }
    let texts = try names.map { String(decoding: try contents(ofFixture: $0), as: UTF8.self) }
    let text = (self == .pastedInReverse ? texts.reversed() : texts).joined()
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return switch self {
    case .withWindowsLineEnds: (["-"], Array(lines.joined(separator: "\r\n").utf8))
    case .quotedInMail: (["-"], Array(lines.map { "> \($0)" }.joined(separator: "\n").utf8))
    default: (["-"], Array(text.utf8))
    }
  }
}

/// The death that a public report tells of: the trace proves its cause, the register dump alone cannot.
@Suite("inquest examine: the reported death by a 1 GiB page")
struct StoryTests {
  private static let trace = "post.trace.txt"
  private static let dump = "post.qemu.log"

  private func expectCause(_ verdict: VerdictDocument, _ finished: FinishedCommand) {
    #expect(finished.status == 3, "\(finished)")
    #expect(verdict.outcome == "died")
    #expect(verdict.cause?.id == "paging.reserved-bit")
    #expect(verdict.cause?.confidence == "proven")
    let entry = verdict.walk?.levels.last
    #expect(entry?.table == "PDPTE")
    #expect(entry?.value == "0xa3")
    #expect(entry?.entryAddress == "0xbf9000")
    #expect(entry?.offendingBits == "0x80")
    #expect(verdict.cause?.summary.contains("80000001H:EDX[26]") == true)
    #expect(verdict.fault?.vector == 14)
    #expect(verdict.fault?.errorCode == "0x9")
    #expect(verdict.fault?.instructionPointer == "0x133025")
    #expect(verdict.evidence.contains { $0.source.contains("kvm_mmu_walker_error") })
    // Nobody asked a host here, so none can be promised to have 1 GiB pages.
    let option = verdict.remedies.first { $0.kind == "command-line" }
    #expect(option?.change.contains("+pdpe1gb") == true)
    #expect(verdict.remedies.allSatisfy { $0.available == nil || $0.kind == "guest" })
  }

  private func expectDump(_ verdict: VerdictDocument) {
    let seen = verdict.observations
    #expect(seen.mention("compatibility mode", "32-bit code segment", "0x133025"))
    #expect(seen.mention("CR3", "0xbf8000"))
    #expect(seen.mention("paging was turned on a few instructions ago"))
    #expect(seen.mention("EFER.NXE is clear"))
    #expect(seen.mention("IDT is empty"))
    #expect(seen.mention("next step to 64-bit code", "far jump"))
    #expect(seen.mention("outside the GDT", "0xf"))
  }

  @Test("the trace proves the cause", arguments: Delivery.allCases)
  func trace(_ delivery: Delivery) async throws {
    let (files, input) = try delivery.arguments([Self.trace])
    let (finished, verdict) = try await examine(files, standardInput: input)
    expectCause(verdict, finished)
    #expect(verdict.walk?.root == nil)
    #expect(verdict.missing.contains { $0.what.contains("registers") && !$0.how.isEmpty })
  }

  @Test("the dump alone gives facts, no cause, and what to get", arguments: Delivery.allCases)
  func dump(_ delivery: Delivery) async throws {
    let (files, input) = try delivery.arguments([Self.dump])
    let (finished, verdict) = try await examine(files, standardInput: input)
    #expect(finished.status == 4, "\(finished)")
    #expect(verdict.outcome == "died")
    #expect(verdict.cause == nil)
    #expect(verdict.remedies.isEmpty)
    expectDump(verdict)
    #expect(verdict.missing.contains { $0.what.contains("kvmmmu") && $0.how.contains("inquest run") })
    #expect(verdict.missing.contains { $0.what.contains("0xbf8000") })
  }

  @Test("the trace and the dump agree", arguments: Delivery.allCases)
  func both(_ delivery: Delivery) async throws {
    let (files, input) = try delivery.arguments([Self.trace, Self.dump])
    let (finished, verdict) = try await examine(files, standardInput: input)
    expectCause(verdict, finished)
    expectDump(verdict)
    #expect(verdict.walk?.root == "0xbf8000")
    #expect(verdict.walk?.levels.first?.entryAddress == "0xbf8000")
    #expect(verdict.evidence.mention("agree", "RIP is 0x133025"))
  }

  @Test("one as a file and the other pasted, with an image that is not of this guest")
  func mixed() async throws {
    let (finished, verdict) = try await examine(
      [fixture(Self.dump), "-", fixture("guest.elf")], standardInput: try contents(ofFixture: Self.trace))
    expectCause(verdict, finished)
    expectDump(verdict)
    #expect(verdict.fault?.symbol == nil)
    #expect(verdict.fault?.source == nil)
  }

  @Test("a program that writes into a pipe is a file too")
  func pipe() async throws {
    let command = try Command(
      "bash", ["-c", "\"$0\" examine <(cat \"$1\")", InquestCommand.path(), fixture(Self.trace)])
    let finished = try await command.run()
    #expect(finished.status == 3, "\(finished)")
    #expect(finished.standardOutput.contains("paging.reserved-bit"))
  }
}
