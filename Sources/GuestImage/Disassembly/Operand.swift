/// Something an instruction reads, writes or names.
public struct Operand: Hashable, Sendable {
  public enum Value: Hashable, Sendable {
    case register(Register)
    case memory(MemoryReference)
    /// An immediate, sign-extended to 64 bits where the instruction extends it.
    case immediate(UInt64)
    /// The instruction pointer that a relative branch leads to.
    case branchTarget(UInt64)
    /// The selector and offset of a direct far call or jump.
    case farPointer(selector: UInt16, offset: UInt32)
  }

  /// How the instruction uses the operand.
  public struct Access: OptionSet, Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let read = Self(rawValue: 1 << 0)
    public static let write = Self(rawValue: 1 << 1)
    /// The read depends on a condition, such as the count of a REP prefix.
    public static let conditionalRead = Self(rawValue: 1 << 2)
    /// The write depends on a condition.
    public static let conditionalWrite = Self(rawValue: 1 << 3)
  }

  public var value: Value
  /// In bytes. The area of an XSAVE is larger than this where XCR0 enables more than x87 and SSE.
  public var size: Int
  public var access: Access
  /// Whether the instruction's text shows the operand; a push's stack slot, for one, is not shown.
  public var isExplicit: Bool

  /// Whether the instruction reads the operand, always or on a condition.
  public var isRead: Bool { !access.isDisjoint(with: [.read, .conditionalRead]) }

  /// Whether the instruction writes the operand, always or on a condition.
  public var isWrite: Bool { !access.isDisjoint(with: [.write, .conditionalWrite]) }

  /// The reference, if the operand is memory.
  public var memory: MemoryReference? {
    if case .memory(let reference) = value { reference } else { nil }
  }
}

/// The parts of an effective address: segment:[base + index * scale + displacement] (SDM vol. 1, 3.7.5).
public struct MemoryReference: Hashable, Sendable {
  /// What the reference is for.
  public enum Purpose: Hashable, Sendable {
    /// The instruction accesses the memory.
    case access
    /// Only the address is used: LEA, INVLPG, prefetches and multi-byte NOPs. It never raises #PF.
    case addressOnly
    /// One address for each element of a vector register, or an MPX bound-table look-up: not one address.
    case severalAddresses
  }

  public var purpose: Purpose
  public var segment: SegmentRegister
  public var base: Register?
  public var index: Register?
  /// 1, 2, 4 or 8.
  public var scale: Int
  public var displacement: Int64
}
