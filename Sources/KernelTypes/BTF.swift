import CBPF

/// The types and functions of a kernel, or of one of its modules: the content of /sys/kernel/btf/vmlinux and its
/// neighbours. The only file that calls libbpf.
///
/// libbpf checks that the sections lie inside the data and each type inside its section; what a type refers to need not
/// be there, and is nil then.
@safe public final class BTF {
  private let handle: OpaquePointer
  /// The kernel's own types, on which a module's build; libbpf refers to them.
  private let base: BTF?
  /// The number of types, those of the base included; the first is `void`.
  public let typeCount: UInt32
  /// The first type that is not the base's.
  public let firstOwnType: UInt32
  /// What was looked up by name: each time it would be a search through all names.
  private var foundTypes: [TypeName: TypeID?] = [:]
  /// What was looked up by number; a structure has its members' names.
  private var readTypes: [TypeID: KernelType] = [:]

  /// Reads BTF, which is copied.
  ///
  /// - Parameter base: The kernel's own types, if these are a module's.
  public init(_ bytes: [UInt8], base: BTF? = nil) throws(BTFError) {
    // Its complaints would go to standard error; what it returns says enough.
    _ = unsafe libbpf_set_print(nil)
    guard let size = UInt32(exactly: bytes.count) else { throw BTFError(reason: "larger than 4 GiB") }
    // libbpf copies the bytes during the call.
    let made = unsafe bytes.withUnsafeBytes {
      guard let base else { return unsafe btf__new($0.baseAddress, size) }
      return unsafe cbpf_new_split($0.baseAddress, $0.count, base.handle)
    }
    guard let handle = unsafe made else {
      throw BTFError(reason: base == nil ? "libbpf cannot read it" : "libbpf cannot read it on top of the kernel's own")
    }
    unsafe self.handle = handle
    self.base = base
    typeCount = unsafe btf__type_cnt(handle)
    firstOwnType = base?.typeCount ?? 1
  }

  deinit { unsafe btf__free(handle) }

  /// The function of this name; nil if there is none.
  public func function(named name: String) -> KernelFunction? {
    // The name is only read during the call, and the result is a number.
    let id = unsafe btf__find_by_name_kind(handle, name, Kind.function.rawValue)
    return id > 0 ? function(TypeID(UInt32(id))) : nil
  }

  /// The structure or union of this name, or what a typedef of this name stands for; nil if there is none.
  func type(named name: String, kind: NamedKind) -> TypeID? {
    let key = TypeName(name: name, kind: kind)
    if let found = foundTypes[key] { return found }
    let found = find(name, kind)
    foundTypes[key] = .some(found)
    return found
  }

  private struct TypeName: Hashable {
    var name: String
    var kind: NamedKind
  }

  private func find(_ name: String, _ kind: NamedKind) -> TypeID? {
    for kind in kind.kinds {
      let id = unsafe btf__find_by_name_kind(handle, name, kind.rawValue)
      if id > 0 { return TypeID(UInt32(id)) }
    }
    return nil
  }

  enum NamedKind {
    case structure
    case union
    case typedef

    fileprivate var kinds: [Kind] {
      switch self {
      case .structure: [.structure]
      case .union: [.union]
      case .typedef: [.alias, .integer]
      }
    }
  }

  /// The functions that are not the base's, in the order of their numbers.
  public func ownFunctions() -> [KernelFunction] {
    (firstOwnType..<max(typeCount, firstOwnType)).compactMap { function(TypeID($0)) }
  }

  private func function(_ id: TypeID) -> KernelFunction? {
    guard case .function(let name, let prototypeID)? = self[id], case .prototype(let prototype)? = self[prototypeID]
    else { return nil }
    return KernelFunction(name: name, prototype: prototype)
  }

  /// The type of this number; nil if there is none.
  public subscript(id: TypeID) -> KernelType? {
    guard id != .void else { return .void }
    if let known = readTypes[id] { return known }
    let type = read(id)
    readTypes[id] = type
    return type
  }

  private func read(_ id: TypeID) -> KernelType? {
    // libbpf's memory is neither moved nor changed while it lives, and what follows a type lies inside its section.
    guard let type = unsafe btf__type_by_id(handle, id.rawValue) else { return nil }
    let header = unsafe type.pointee
    let name = text(header.name_off)
    let referred = TypeID(header.type)
    switch unsafe kind(type) {
    case .integer: return .integer(unsafe integer(type, name))
    case .pointer: return .pointer(referred)
    case .array:
      let array = unsafe btf_array(type).pointee
      return .array(element: TypeID(array.type), count: Int(array.nelems))
    case .structure, .union: return .structure(unsafe structure(type, name))
    case .enumeration, .enumeration64: return .enumeration(unsafe enumeration(type, name))
    case .forward: return .forward(name: name, isUnion: unsafe btf_kflag(type))
    case .alias: return .alias(name: name, referred)
    case .const: return .qualified("const", referred)
    case .volatile: return .qualified("volatile", referred)
    case .restrict: return .qualified("restrict", referred)
    case .typeTag: return .qualified("", referred)
    case .function: return .function(name: name, prototype: referred)
    case .prototype: return .prototype(unsafe prototype(type))
    default: return .other
    }
  }

  private func kind(_ type: UnsafePointer<btf_type>) -> Kind? { unsafe Kind(rawValue: UInt32(btf_kind(type))) }

  private func text(_ offset: UInt32) -> String {
    guard let name = unsafe btf__name_by_offset(handle, offset) else { return "" }
    return unsafe String(cString: name)
  }

  private func integer(_ type: UnsafePointer<btf_type>, _ name: String) -> KernelType.IntegerType {
    let encoding = unsafe Int32(btf_int_encoding(type))
    return unsafe KernelType.IntegerType(
      name: name, size: Int(type.pointee.size), isSigned: encoding & BTF_INT_SIGNED != 0,
      isBoolean: encoding & BTF_INT_BOOL != 0)
  }

  private func structure(_ type: UnsafePointer<btf_type>, _ name: String) -> KernelType.StructureType {
    let members = unsafe UnsafeBufferPointer(start: btf_members(type), count: Int(btf_vlen(type)))
    return unsafe KernelType.StructureType(
      name: name, size: Int(type.pointee.size), isUnion: kind(type) == .union,
      members: members.indices.map { index in
        unsafe KernelType.Member(
          name: text(members[index].name_off), type: TypeID(members[index].type),
          bitOffset: Int(btf_member_bit_offset(type, UInt32(index))),
          bitFieldWidth: Int(btf_member_bitfield_size(type, UInt32(index))))
      })
  }

  private func enumeration(_ type: UnsafePointer<btf_type>, _ name: String) -> KernelType.EnumerationType {
    let count = unsafe Int(btf_vlen(type))
    let isSigned = unsafe btf_kflag(type)
    let size = unsafe Int(type.pointee.size)
    let values: [KernelType.Enumerator]
    if unsafe kind(type) == .enumeration64 {
      let entries = unsafe UnsafeBufferPointer(start: btf_enum64(type), count: count)
      values = unsafe entries.map {
        KernelType.Enumerator(name: text($0.name_off), value: UInt64($0.val_hi32) << 32 | UInt64($0.val_lo32))
      }
    } else {
      let entries = unsafe UnsafeBufferPointer(start: btf_enum(type), count: count)
      values = unsafe entries.map {
        KernelType.Enumerator(
          name: text($0.name_off),
          value: isSigned ? UInt64(bitPattern: Int64($0.val)) : UInt64(UInt32(bitPattern: $0.val)))
      }
    }
    return KernelType.EnumerationType(name: name, size: size, isSigned: isSigned, values: values)
  }

  private func prototype(_ type: UnsafePointer<btf_type>) -> KernelType.Prototype {
    let entries = unsafe UnsafeBufferPointer(start: btf_params(type), count: Int(btf_vlen(type)))
    var parameters = unsafe entries.map {
      KernelType.Parameter(name: text($0.name_off), type: TypeID($0.type))
    }
    // A last parameter without name and type is `...`.
    let isVariadic = parameters.last.map { $0.name.isEmpty && $0.type == .void } ?? false
    if isVariadic { parameters.removeLast() }
    return KernelType.Prototype(
      result: unsafe TypeID(type.pointee.type), parameters: parameters, isVariadic: isVariadic)
  }
}

/// What a type's header says that it is (include/uapi/linux/btf.h, 6.1: BTF_KIND_*).
private enum Kind: UInt32 {
  case integer = 1
  case pointer, array, structure, union, enumeration, forward, alias, volatile, const, restrict, function, prototype
  case typeTag = 18
  case enumeration64 = 19
}

/// A function of the kernel.
public struct KernelFunction: Hashable, Sendable {
  public var name: String
  public var prototype: KernelType.Prototype
}

/// Why BTF cannot be read.
public struct BTFError: Error, Hashable, Sendable, CustomStringConvertible {
  public var reason: String

  public var description: String { "this is no BTF that can be read: \(reason)" }
}

extension BTF {
  /// How many typedefs and qualifiers are followed; the kernel's own chains are shorter than ten.
  private static let longestChain = 64

  /// What a type is behind typedefs and qualifiers; nil if it is not described.
  public func resolved(_ id: TypeID) -> (id: TypeID, type: KernelType)? {
    var id = id
    for _ in 0..<Self.longestChain {
      guard let type = self[id] else { return nil }
      switch type {
      case .alias(_, let next), .qualified(_, let next): id = next
      default: return (id, type)
      }
    }
    return nil
  }

  /// The size of a type's values in bytes on x86-64; nil for `void` and for what has none.
  public func size(of id: TypeID) -> Int? {
    var id = id
    var factor = 1
    for _ in 0..<Self.longestChain {
      guard let (_, type) = resolved(id) else { return nil }
      switch type {
      case .integer(let integer): return Self.product(factor, integer.size)
      case .enumeration(let enumeration): return Self.product(factor, enumeration.size)
      case .structure(let structure): return Self.product(factor, structure.size)
      case .pointer: return Self.product(factor, 8)
      case .array(let element, let count):
        guard let product = Self.product(factor, count) else { return nil }
        factor = product
        id = element
      default: return nil
      }
    }
    return nil
  }

  private static func product(_ a: Int, _ b: Int) -> Int? {
    let (product, overflows) = a.multipliedReportingOverflow(by: b)
    return overflows ? nil : product
  }

  /// The name that the source gives a type: of the first typedef, or of the type itself.
  public func name(of id: TypeID) -> String {
    var id = id
    for _ in 0..<Self.longestChain {
      switch self[id] {
      case .qualified(_, let next): id = next
      case .alias(let name, _), .forward(let name, _): return name
      case .integer(let type): return type.name
      case .structure(let type): return type.name
      case .enumeration(let type): return type.name
      default: return ""
      }
    }
    return ""
  }
}
