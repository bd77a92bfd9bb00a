public import Files

/// What a reader must know of the machine that made a recording before it can read a field.
public struct RecordingMachine: Hashable, Sendable {
  public var byteOrder: ByteOrder
  /// The size of the kernel's `long` and of its pointers, in bytes: 4 or 8.
  public var longSize: Int

  public init(byteOrder: ByteOrder, longSize: Int) {
    self.byteOrder = byteOrder
    self.longSize = longSize
  }

  /// x86-64.
  public static let amd64 = Self(byteOrder: .littleEndian, longSize: 8)
}
