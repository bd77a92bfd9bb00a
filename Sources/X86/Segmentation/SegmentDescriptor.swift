/// An entry of the GDT or LDT (SDM vol. 3, 3.4.5 and figure 7-4).
public struct SegmentDescriptor: Hashable, Sendable {
  /// The first 8 bytes.
  public var low: UInt64
  /// The second 8 bytes of a TSS or LDT descriptor of long mode, with bits 63:32 of its base; else 0.
  public var high: UInt64

  public init(low: UInt64, high: UInt64 = 0) {
    self.low = low
    self.high = high
  }

  public var base: UInt64 {
    low >> 16 & 0xFF_FFFF | (low >> 56) << 24 | high << 32
  }

  /// The last valid offset in bytes, the granularity applied.
  public var limit: UInt32 {
    let raw = UInt32(truncatingIfNeeded: low & 0xFFFF | low >> 32 & 0xF_0000)
    return attributes.contains(.granularity) ? raw << 12 | 0xFFF : raw
  }

  /// Bits 8 to 23 of the second doubleword, but for the limit's.
  public var attributes: SegmentAttributes {
    SegmentAttributes(rawValue: UInt32(truncatingIfNeeded: low >> 32) & 0x00F0_FF00)
  }

  /// Whether it is of code.
  public var isCode: Bool { attributes.contains([.codeOrData, .code]) }
}

/// The GDT, or an LDT: descriptors of 8 bytes.
public struct DescriptorTable: Hashable, Sendable {
  public var base: LinearAddress
  /// The offset of the table's last byte.
  public var limit: UInt32

  public init(base: LinearAddress, limit: UInt32) {
    self.base = base
    self.limit = limit
  }

  /// Whether all 8 bytes of the descriptor lie within the limit; if not, loading the selector raises #GP (SDM vol. 3, 6.15,
  /// "Interrupt 13").
  public func contains(_ selector: SegmentSelector) -> Bool { UInt32(selector.rawValue & ~7) + 7 <= limit }

  /// Where the descriptor lies, whether or not it is within the limit.
  public func address(of selector: SegmentSelector) -> LinearAddress {
    LinearAddress(base.rawValue &+ UInt64(selector.rawValue & ~7))
  }
}
