/// The error code of #TS, #NP, #SS and #GP: the selector or the gate that was refused; 0 names none (SDM vol. 3, 6.13).
public struct SelectorErrorCode: Hashable, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// EXT: an event from outside the program was being delivered. TCG leaves it out.
  public var isExternal: Bool { rawValue & 1 != 0 }
  /// IDT: the index is that of a gate.
  public var namesGate: Bool { rawValue & 2 != 0 }
  /// The selector, less its RPL; nil where a gate or nothing is named.
  public var selector: SegmentSelector? {
    namesGate || rawValue & 0xFFFC == 0 ? nil : SegmentSelector(rawValue: UInt16(truncatingIfNeeded: rawValue & 0xFFFC))
  }

  /// The vectors whose gate may be meant. Processors count gates by 8 in the code whatever their size; QEMU's TCG counts those of long
  /// mode by 16 (measured with 2.x and 7.2: 62H for vector 6 and 82H for vector 8; 32H for vector 6 with newer ones).
  ///
  /// - Parameter isLongModeActive: Whether the processor was in long mode, so that both ways are possible.
  public func vectors(isLongModeActive: Bool) -> [UInt8] {
    guard namesGate else { return [] }
    let index = rawValue >> 3 & 0x1FFF
    let doubled = isLongModeActive && index & 1 == 0 ? UInt8(exactly: index >> 1) : nil
    return [UInt8(exactly: index), doubled].compactMap(\.self)
  }
}
