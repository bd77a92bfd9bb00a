extension FixedWidthInteger {
  /// The value as the manuals' readers expect addresses and register values: `0x10006d`, in two's complement if
  /// negative.
  public var hexadecimal: String { "0x" + String(Magnitude(truncatingIfNeeded: self), radix: 16) }
}
