/// A segment register with its hidden part (SDM vol. 3, 3.4.3).
public struct Segment: Hashable, Sendable {
  public var selector: SegmentSelector
  public var base: UInt64
  /// The last valid offset in bytes, the granularity already applied.
  public var limit: UInt32
  public var attributes: SegmentAttributes

  public init(selector: SegmentSelector, base: UInt64, limit: UInt32, attributes: SegmentAttributes) {
    self.selector = selector
    self.base = base
    self.limit = limit
    self.attributes = attributes
  }
}

/// The visible part of a segment register (SDM vol. 3, 3.4.2).
public struct SegmentSelector: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// RPL, 0 to 3.
  public var requestedPrivilegeLevel: Int { Int(rawValue & 3) }
  /// TI: the selector names an entry of the LDT instead of the GDT.
  public var isLocal: Bool { rawValue & 4 != 0 }
  /// The number of the descriptor in its table.
  public var index: Int { Int(rawValue >> 3) }
  /// Whether the selector is null: entry 0 of the GDT, whatever its RPL.
  public var isNull: Bool { rawValue & ~3 == 0 }
}

/// The second word of a descriptor less its base and limit bits: type, S, DPL, P, AVL, L, D/B and G in bits 8 to 23
/// (SDM vol. 3, 3.4.5; QEMU prints a segment's flags in this form, `target/i386/cpu.h: DESC_*`).
public struct SegmentAttributes: OptionSet, Hashable, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// From a VMCB's attributes, twelve bits (APM vol. 2, 15.5.1, "Segment State in the VMCB").
  public init(vmcbAttributes value: UInt32) { self.init(rawValue: (value & 0xFF) << 8 | (value & 0xF00) << 12) }

  /// A: the segment was loaded.
  public static let accessed = Self(rawValue: 1 << 8)
  /// W of data, R of code.
  public static let writableOrReadable = Self(rawValue: 1 << 9)
  /// E of data (expand down), C of code (conforming).
  public static let expandDownOrConforming = Self(rawValue: 1 << 10)
  /// Code instead of data.
  public static let code = Self(rawValue: 1 << 11)
  /// S: code or data instead of a system segment.
  public static let codeOrData = Self(rawValue: 1 << 12)
  /// P.
  public static let present = Self(rawValue: 1 << 15)
  /// L: 64-bit code.
  public static let long = Self(rawValue: 1 << 21)
  /// D/B: 32-bit operands, addresses and stack.
  public static let big = Self(rawValue: 1 << 22)
  /// G: the limit counts 4 KiB units.
  public static let granularity = Self(rawValue: 1 << 23)

  /// DPL, 0 to 3.
  public var descriptorPrivilegeLevel: Int { Int(rawValue >> 13 & 3) }
  /// The four type bits, whose meaning depends on S.
  public var type: UInt8 { UInt8(rawValue >> 8 & 0xF) }
}

/// GDTR or IDTR.
public struct DescriptorTableRegister: Hashable, Sendable {
  public var base: LinearAddress
  /// The offset of the table's last byte.
  public var limit: UInt16

  public init(base: LinearAddress, limit: UInt16) {
    self.base = base
    self.limit = limit
  }
}
