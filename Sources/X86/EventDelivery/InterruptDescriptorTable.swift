/// The interrupt descriptor table of protected or long mode (SDM vol. 3, 6.10).
///
/// Real mode has a table of 4-byte vectors instead, which this is not.
public struct InterruptDescriptorTable: Hashable, Sendable {
  public var register: DescriptorTableRegister
  /// EFER.LMA: gates have 16 bytes instead of 8 (SDM vol. 3, 6.14.1).
  public var isLongModeActive: Bool

  public init(register: DescriptorTableRegister, isLongModeActive: Bool) {
    self.register = register
    self.isLongModeActive = isLongModeActive
  }

  /// The bytes of one gate: 16 in long mode, else 8.
  public var gateSize: Int { isLongModeActive ? 16 : 8 }

  /// Whether the whole gate of `vector` lies within the limit.
  ///
  /// If not, delivery of the vector raises #GP, with the vector in its error code (SDM vol. 3, 6.13); if that one does
  /// not fit either, #DF and then a triple fault follow.
  public func contains(_ vector: ExceptionVector) -> Bool {
    offset(of: vector) + gateSize - 1 <= Int(register.limit)
  }

  /// Where the gate of `vector` begins, whether or not it is within the limit: 32 bits wide outside long mode.
  public func gateAddress(of vector: ExceptionVector) -> LinearAddress {
    let address = register.base.rawValue &+ UInt64(offset(of: vector))
    return LinearAddress(isLongModeActive ? address : address & 0xFFFF_FFFF)
  }

  private func offset(of vector: ExceptionVector) -> Int { Int(vector.rawValue) * gateSize }
}

/// A gate of the interrupt descriptor table (SDM vol. 3, figures 6-2 and 6-8).
public struct InterruptGate: Hashable, Sendable {
  /// What a gate does when an event comes through it.
  public enum Kind: Hashable, Sendable {
    /// Switches to the task of a TSS; not in long mode.
    case task
    /// Clears IF.
    case interrupt
    /// Leaves IF as it is.
    case trap
  }

  /// Where the handler begins in its code segment: 16 bits in a gate of type 6 or 7, which has no more (SDM vol. 3,
  /// 6.11); 0 in a task gate, which has none.
  public var offset: UInt64
  /// The handler's code segment, or a task gate's TSS.
  public var selector: SegmentSelector
  /// Bits 12:8 of the gate's second doubleword: S and the four bits of the type.
  public var type: UInt8
  /// DPL, 0 to 3: the highest CPL that may use the gate by INT n, INT3 or INTO.
  public var descriptorPrivilegeLevel: Int
  public var isPresent: Bool
  /// The entry of the interrupt stack table to take the stack from, 1 to 7; 0 for none. Always 0 outside long mode.
  public var interruptStackTable: Int
  public var isLongMode: Bool

  /// A gate of protected mode from its 8 bytes.
  public init(_ quadword: UInt64) {
    self.init(low: quadword, offsetAbove: 0, interruptStackTable: 0, isLongMode: false)
  }

  /// A gate of long mode from its 16 bytes, the lower 8 first.
  public init(low: UInt64, high: UInt64) {
    self.init(
      low: low, offsetAbove: high << 32, interruptStackTable: Int(low >> 32 & 7), isLongMode: true)
  }

  private init(low: UInt64, offsetAbove: UInt64, interruptStackTable: Int, isLongMode: Bool) {
    selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: low >> 16))
    type = UInt8(low >> 40 & 0x1F)
    descriptorPrivilegeLevel = Int(low >> 45 & 3)
    isPresent = low & 1 << 47 != 0
    self.interruptStackTable = interruptStackTable
    self.isLongMode = isLongMode
    offset =
      switch type {
      case 0x05: 0
      case 0x06, 0x07: low & 0xFFFF
      default: low & 0xFFFF | (low >> 48) << 16 | offsetAbove
      }
  }

  /// What the gate is, or nil if its type is none that the table may hold: then delivery raises #GP.
  ///
  /// Task and 16-bit gates do not exist in long mode (SDM vol. 3, 6.14.1; APM vol. 2, 4.8.3).
  public var kind: Kind? {
    switch type {
    case 0x05: isLongMode ? nil : .task
    case 0x06: isLongMode ? nil : .interrupt
    case 0x07: isLongMode ? nil : .trap
    case 0x0E: .interrupt
    case 0x0F: .trap
    default: nil
    }
  }

  /// Whether delivery pushes a frame of 16-bit words: type 6 or 7 outside long mode.
  public var is16Bit: Bool { !isLongMode && (type == 0x06 || type == 0x07) }
}
