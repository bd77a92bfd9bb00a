import Capture
import KernelTypes
import QEMU

/// Which functions to look at, and what of them.
struct ProbeSelection {
  let functions: KernelFunctions
  var conditions: [Condition] = []
  var wantsReturn = false
  var wantsStack = false

  /// The probes that words name: a function, then what to show of it, then perhaps another function.
  ///
  /// A word whose first name is a parameter of the function before it is an expression; any other is a function.
  func probes(_ words: [String]) throws(Failure) -> [FunctionProbe] {
    var groups: [(function: (function: KernelFunction, types: BTF), expressions: [Expression])] = []
    for word in words {
      if let last = groups.last, let expression = try expression(word, of: last.function.function) {
        groups[groups.count - 1].expressions.append(expression)
      } else {
        groups.append((try function(word, after: groups.last?.function.function), []))
      }
    }
    return try groups.map { group throws(Failure) in try probe(group.function, group.expressions) }
  }

  /// The ready-made set for a walk of the guest's tables: what KVM fetches, with which walk, and what that answers.
  ///
  /// Functions and members that this kernel lacks are left out; without the walk itself there is no set.
  func pageWalk() throws(Failure) -> [FunctionProbe] {
    var probes: [FunctionProbe] = []
    for (name, texts) in Self.pageWalk {
      guard let found = functions.function(named: name) else { continue }
      var arguments: [Expression] = []
      for text in texts {
        guard let expression = try? Expression(text),
          (try? found.types.fetch(expression, of: found.function)) != nil
        else { continue }
        arguments.append(expression)
      }
      probes.append(try probe(found, arguments, wantsReturn: true))
    }
    guard probes.contains(where: { $0.function.hasSuffix("walk_addr_generic") }) else {
      throw Failure("this kernel has no paging64_walk_addr_generic to probe: is kvm loaded?")
    }
    return probes
  }

  /// Functions of arch/x86/kvm (x86.c, emulate.c, mmu/paging_tmpl.h, mmu/mmu.c; 5.10 to 6.18) with what tells of a walk.
  private static let pageWalk: [(String, [String])] = [
    ("kvm_mmu_page_fault", ["cr2_or_gpa", "error_code"]),
    ("x86_emulate_instruction", ["cr2_or_gpa", "emulation_type"]),
    ("x86_decode_insn", ["insn", "insn_len"]),
    (
      "kvm_fetch_guest_virt",
      ["ctxt->eip", "addr", "bytes", "((struct kvm_vcpu *)ctxt->vcpu)->arch.walk_mmu->gva_to_gpa"]
    ),
    ("paging64_walk_addr_generic", ["walker", "vcpu", "mmu", "addr", "access", "mmu->gva_to_gpa"]),
    ("paging32_walk_addr_generic", ["walker", "vcpu", "mmu", "addr", "access", "mmu->gva_to_gpa"]),
  ]

  private func expression(_ word: String, of function: KernelFunction) throws(Failure) -> Expression? {
    let expression: Expression
    do throws(ExpressionError) {
      expression = try Expression(word)
    } catch {
      throw Failure("\(word): \(error)")
    }
    let names = function.prototype.parameters.map(\.name)
    if names.contains(expression.parameter) { return expression }
    if case .parameter = expression { return nil }
    throw Failure(
      "\(word): \(function.name) has no parameter \(expression.parameter); it has \(names.joined(separator: ", "))")
  }

  private func function(
    _ word: String, after previous: KernelFunction?
  ) throws(Failure) -> (function: KernelFunction, types: BTF) {
    if let found = functions.function(named: word) { return found }
    // The kernel has some sixty thousand; a slip is seldom in the first letters.
    let names = functions.all().map(\.function.name).filter { $0.hasPrefix(word.prefix(3)) }
    let near = suggestion(word, names)
    let parameters = previous.map { " and \($0.name) has no parameter of that name" } ?? ""
    throw Failure(
      "no function \(word)\(parameters): the kernel has none that can be probed, or the compiler put it into its "
        + "callers\(near)")
  }

  private func probe(
    _ found: (function: KernelFunction, types: BTF), _ expressions: [Expression], wantsReturn: Bool = false
  ) throws(Failure) -> FunctionProbe {
    let names = Set(found.function.prototype.parameters.map(\.name))
    let condition = conditions.filter { $0.expressions.allSatisfy { names.contains($0.parameter) } }
      .reduce(nil as Condition?) { all, next in all.map { .both($0, next) } ?? next }
    do throws(ResolutionError) {
      return try found.types.probe(
        found.function, expressions, when: condition, wantsReturn: wantsReturn || self.wantsReturn,
        wantsStack: wantsStack)
    } catch {
      throw Failure("\(found.function.name): \(error)")
    }
  }
}
