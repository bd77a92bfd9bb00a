extension BTF {
  /// A function's prototype as C has it: `int kvm_fetch_guest_virt(struct x86_emulate_ctxt *ctxt, gva_t addr)`.
  public func prototype(of function: KernelFunction) -> String {
    declaration(of: .prototype(function.prototype), named: function.name, depth: 0)
  }

  /// A type's name as C has it, as in a cast: `struct kvm_vcpu *`.
  public func declaration(of id: TypeID) -> String { declaration(of: id, named: "", depth: 0) }

  /// The deepest nesting that is written out.
  private static let deepest = 16

  /// C's declarations read from the name outwards, so the text grows around the name.
  private func declaration(of id: TypeID, named name: String, depth: Int) -> String {
    guard depth < Self.deepest, let type = self[id] else { return joined("?", name) }
    return declaration(of: type, named: name, depth: depth)
  }

  private func declaration(of type: KernelType, named name: String, depth: Int) -> String {
    switch type {
    case .void: return joined("void", name)
    case .integer(let integer): return joined(integer.name, name)
    case .structure(let structure):
      return joined(
        "\(structure.isUnion ? "union" : "struct") \(structure.name.isEmpty ? "{…}" : structure.name)", name)
    case .enumeration(let enumeration):
      return joined("enum \(enumeration.name.isEmpty ? "{…}" : enumeration.name)", name)
    case .forward(let forward, let isUnion): return joined("\(isUnion ? "union" : "struct") \(forward)", name)
    case .alias(let alias, _): return joined(alias, name)
    case .qualified("", let next): return declaration(of: next, named: name, depth: depth + 1)
    case .qualified(let qualifier, let next):
      // A qualified pointer has the word behind its star, all else before.
      if case .pointer? = self[next] {
        return declaration(of: next, named: joined(qualifier, name), depth: depth + 1)
      }
      return joined(qualifier, declaration(of: next, named: name, depth: depth + 1))
    case .pointer(let target):
      switch self[target] {
      case .prototype, .array: return declaration(of: target, named: "(*\(name))", depth: depth + 1)
      default: return declaration(of: target, named: "*\(name)", depth: depth + 1)
      }
    case .array(let element, let count):
      return declaration(of: element, named: "\(name)[\(count)]", depth: depth + 1)
    case .prototype(let prototype):
      var parameters = prototype.parameters.map { declaration(of: $0.type, named: $0.name, depth: depth + 1) }
      if prototype.isVariadic { parameters.append("...") }
      let list = parameters.isEmpty ? "void" : parameters.joined(separator: ", ")
      return declaration(of: prototype.result, named: "\(name)(\(list))", depth: depth + 1)
    case .function(let function, _): return joined(function, name)
    case .other: return joined("?", name)
    }
  }

  private func joined(_ type: String, _ name: String) -> String { name.isEmpty ? type : "\(type) \(name)" }
}
