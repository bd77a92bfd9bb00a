public import X86

/// A name for a place in the image, and how far into it an address is.
public struct Symbol: Hashable, Sendable {
  /// The name as its language writes it, where it is a mangled one of Swift or C++; else as the file has it.
  public var name: String
  /// The name as the file has it.
  public var linkName: String
  public var start: LinearAddress
  /// In bytes; 0 for an assembler's label, of which nobody knows where it ends.
  public var size: UInt64
  /// How many bytes the address is behind `start`.
  public var offset: UInt64
}

extension Symbol: CustomStringConvertible {
  /// `name` or `name+0x4a`.
  public var description: String {
    offset == 0 ? name : "\(name)+0x\(String(offset, radix: 16))"
  }
}
