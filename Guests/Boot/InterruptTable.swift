import Processor

/// An IDT of 64-bit mode: 256 gates, none of them present until the guest sets it.
public struct InterruptTable: Sendable {
  private let frame = PageTable()

  public init() {}

  /// The address of the table.
  public var address: UInt64 { frame.address }

  /// The gate of a vector, from 0 to 255.
  public subscript(vector: Int) -> Gate {
    get {
      Gate(low: frame[2 * vector].rawValue, high: frame[2 * vector + 1].rawValue)
    }
    nonmutating set {
      frame[2 * vector] = PageTableEntry(rawValue: newValue.low)
      frame[2 * vector + 1] = PageTableEntry(rawValue: newValue.high)
    }
  }

  /// LIDT.
  ///
  /// - Parameter limit: The offset of the last byte.
  public func use(limit: UInt16 = 4095) { loadIDT(address, limit) }
}

/// A gate of 64-bit mode: 16 bytes.
public struct Gate: Sendable {
  public var low, high: UInt64

  public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  /// An interrupt gate for the supervisor.
  ///
  /// - Parameter stack: Which stack of the TSS's IST, 1 to 7; 0 for none.
  public init(to handler: UInt64, selector: UInt64 = 8, stack: UInt64 = 0) {
    low = handler & 0xffff | selector << 16 | stack << 32 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48
    high = handler >> 32
  }

  /// A gate of protected mode: 8 bytes, the first half of a gate of 64-bit mode.
  public static func ofProtectedMode(to handler: UInt64) -> UInt64 { Gate(to: handler).low }

  /// The same gate for a trap: interrupts stay on.
  public var trap: Gate { Gate(low: low | 1 << 40, high: high) }

  /// The same gate, with DPL 3: INT n of user mode may use it.
  public var forUserMode: Gate { Gate(low: low | 3 << 45, high: high) }

  /// The same gate, with P clear.
  public var notPresent: Gate { Gate(low: low & ~(1 << 47), high: high) }
}
