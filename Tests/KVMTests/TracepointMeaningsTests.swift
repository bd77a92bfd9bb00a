import KVM
import Testing

@Suite("what tracepoints mean")
struct TracepointMeaningsTests {
  @Test("each in a line that fits beside its name", arguments: TracepointMeanings.all.map { ($0.name, $0.meaning) })
  func meaning(_ name: String, _ meaning: String) {
    #expect(!meaning.isEmpty && !meaning.contains("\n") && !meaning.hasSuffix("."))
    #expect(meaning.count <= 120)
    #expect(name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" })
  }

  @Test("the same name may mean something only in its own system")
  func system() {
    #expect(TracepointMeanings.meaning(of: "kvm_exit", in: "kvm") != nil)
    #expect(TracepointMeanings.meaning(of: "kvm_exit", in: "sched") == nil)
  }
}
