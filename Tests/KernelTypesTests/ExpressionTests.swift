import KernelTypes
import Testing

@Suite("expressions and conditions")
struct ExpressionTests {
  @Test(
    "what is read is what is written",
    arguments: [
      "addr", "ctxt->eip", "walker->fault.error_code", "walker->ptes[2]", "*exception", "(*exception).vector",
      "((struct kvm_vcpu *)ctxt->vcpu)->arch.walk_mmu->gva_to_gpa",
    ])
  func roundTrip(_ text: String) throws { #expect(try Expression(text).description == text) }

  @Test(
    "what cannot be read says where",
    arguments: [
      ("", 0), ("a->", 3), ("a b", 2), ("a[", 2), ("a[99999999999]", 13), ("(a", 2), ("->a", 0), ("1", 0),
      (String(repeating: "(", count: 100), 32), (String(repeating: "*", count: 100) + "a", 32),
    ])
  func unreadable(_ text: String, _ offset: Int) throws {
    let error = #expect(throws: ExpressionError.self) { try Expression(text) }
    #expect(error?.offset == offset)
  }

  @Test(
    "conditions",
    arguments: [
      ("a == 0x10", true), ("a != 16", false), ("a > 15 && a < 17", true), ("a > 16 || b == -1", true), ("b < 0", true),
      ("!(a == 16)", false), ("(a == 1 || a == 16) && b == -1", true), ("a & 0x30", true), ("a & 1", false),
      ("c == 0", false),
    ])
  func conditions(_ text: String, _ holds: Bool) throws {
    let values = [
      "a": ArgumentValue(bits: 16, isSigned: false), "b": ArgumentValue(bits: .max, isSigned: true),
    ]
    #expect(try Condition(text).holds { values[$0.description] } == holds)
  }

  @Test("a condition that cannot be read", arguments: ["", "a", "a ==", "a == ,", "a == 1 &&", "(a == 1", "a = 1"])
  func unreadableCondition(_ text: String) { #expect(throws: ExpressionError.self) { try Condition(text) } }
}
