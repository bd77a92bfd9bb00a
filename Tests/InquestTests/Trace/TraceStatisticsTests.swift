import SystemPackage
import Testing
import Traces

@testable import inquest

@Suite struct TraceStatisticsTests {
  private func statistics(_ name: String) throws -> TraceStatistics {
    var root = FilePath(#filePath)
    for _ in 0..<4 { root.removeLastComponent() }
    let trace = try TraceFile(path: root.appending("Tests/Fixtures/one-gib-pages/\(name)"))
    var statistics = TraceStatistics(trace.context)
    trace.forEach { item in
      statistics.add(item)
      return .proceed
    }
    statistics.finish()
    return statistics
  }

  /// The counts are those that `trace-cmd report -N` and grep give.
  @Test func countsExits() throws {
    let vcpu = try #require(statistics("dies.trace.dat").threads[128])
    #expect(vcpu.number == 0)
    #expect(vcpu.entries == 6585)
    let counts = Dictionary(uniqueKeysWithValues: vcpu.exits.map { ($0.key.name, $0.value.count) })
    #expect(counts["io"] == 4395)
    #expect(counts["PF excp"] == 1080)
    #expect(counts["write_cr3"] == 1)
    #expect(counts.values.reduce(0, +) == 6585)
    // kvm_userspace_exit with errno -EINTR is no KVM_EXIT_UNKNOWN.
    #expect(vcpu.userspaceExits == [2: 4300, 6: 377, 8: 1, UInt64(bitPattern: -4): 1])
  }

  @Test func countsWhatAHostWithoutExitsTraces() throws {
    let statistics = try statistics("pvm.perf.data")
    let vcpu = try #require(statistics.threads[14630])
    #expect(vcpu.exits.isEmpty)
    #expect(vcpu.emulations == 19492)
    #expect(vcpu.walks == 3)
    #expect(vcpu.failedWalks == 3)
    #expect(statistics.exceptions == [.init(vector: 14, errorCode: 9): 1])
    #expect(statistics.ports.total == 86)
  }

  @Test func estimatesQuantiles() {
    var durations = DurationStatistics()
    for duration in 1...100_000 as ClosedRange<UInt64> { durations.add(duration) }
    #expect(durations.count == 100_000)
    #expect(durations.mean == 50_000)
    #expect(durations.maximum == 100_000)
    for (part, exact) in [(0.5, 50_000.0), (0.99, 99_000), (0.0001, 10)] {
      #expect(abs(Double(durations.quantile(part)) - exact) <= exact * 0.016)
    }
    durations.add(.max)
    #expect(durations.quantile(1) == .max)
  }
}

@Suite struct EventSelectionTests {
  @Test(arguments: [
    ("kvm_exit", "kvm_exit", true), ("kvm_exit", "kvm_e*", true), ("kvm_exit", "*exit", true),
    ("kvm_exit", "k?m_*", true), ("kvm_exit", "kvm", false), ("kvm_exit", "*entry", false), ("", "*", true),
    ("", "?", false), ("aab", "*ab", true), ("mississippi", "m*iss*pi", true), ("mississippi", "m*iss*ps", false),
  ])
  func matchesPatterns(_ text: String, _ pattern: String, _ expected: Bool) {
    #expect(Glob.matches(text, pattern) == expected)
  }

  @Test(
    arguments: [
      ("1", 1_000_000_000), ("12.5", 12_500_000_000), ("0.000000001", 1), ("1.0000000001", nil), ("x", nil),
      ("-1", nil), ("99999999999", nil),
    ] as [(String, UInt64?)])
  func readsTimes(_ text: String, _ expected: UInt64?) {
    #expect(EventSelection.Time(argument: text)?.nanoseconds == expected)
  }

  @Test(
    arguments: [
      ("0x10-0x20", 0x10...0x20), ("10", 0x10...0x10), ("20-10", nil), ("", nil), ("1-2-3", nil), ("g", nil),
    ] as [(String, ClosedRange<UInt64>?)])
  func readsRanges(_ text: String, _ expected: ClosedRange<UInt64>?) {
    #expect(EventSelection.AddressRange(argument: text)?.range == expected)
  }
}
