/// The number of a type in its BTF; 0 is `void`.
public struct TypeID: Hashable, Sendable {
  public var rawValue: UInt32

  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static let void = TypeID(0)
}

/// A type of the kernel's C, as BTF describes it (Documentation/bpf/btf.rst, Linux 6.1).
public enum KernelType: Hashable, Sendable {
  case void
  case integer(IntegerType)
  case pointer(TypeID)
  case array(element: TypeID, count: Int)
  case structure(StructureType)
  case enumeration(EnumerationType)
  /// A structure or union of which nothing but the name is known.
  case forward(name: String, isUnion: Bool)
  case alias(name: String, TypeID)
  /// const, volatile, restrict, or a tag, which change nothing about the values.
  case qualified(String, TypeID)
  case function(name: String, prototype: TypeID)
  case prototype(Prototype)
  /// Floating-point numbers, variables, sections and tags, which no argument is.
  case other

  public struct IntegerType: Hashable, Sendable {
    public var name: String
    /// Bytes.
    public var size: Int
    public var isSigned: Bool
    public var isBoolean: Bool
  }

  public struct StructureType: Hashable, Sendable {
    /// Empty where it has none.
    public var name: String
    /// Bytes.
    public var size: Int
    public var isUnion: Bool
    public var members: [Member]
  }

  public struct Member: Hashable, Sendable {
    /// Empty for an unnamed structure or union, whose members are found in the outer one.
    public var name: String
    public var type: TypeID
    /// From the structure's start.
    public var bitOffset: Int
    /// The number of bits of a bit field; 0 for any other member.
    public var bitFieldWidth: Int
  }

  public struct EnumerationType: Hashable, Sendable {
    public var name: String
    /// Bytes.
    public var size: Int
    public var isSigned: Bool
    public var values: [Enumerator]
  }

  public struct Enumerator: Hashable, Sendable {
    public var name: String
    /// Sign-extended to 64 bits where the enumeration is signed.
    public var value: UInt64
  }

  public struct Prototype: Hashable, Sendable {
    public var result: TypeID
    public var parameters: [Parameter]
    /// Whether it takes further arguments (`...`).
    public var isVariadic: Bool
  }

  public struct Parameter: Hashable, Sendable {
    public var name: String
    public var type: TypeID
  }
}
