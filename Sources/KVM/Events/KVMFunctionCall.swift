/// A call of one of KVM's functions, or the return from it, as a probe of `inquest probe` recorded it.
public struct KVMFunctionCall: Hashable, Sendable {
  public var function: String
  public var isReturn: Bool
  /// What the probe fetched: at a return, the value that is returned, if any.
  public var values: [Value]

  public struct Value: Hashable, Sendable {
    /// The path to it, joined by underscores: `addr`, `mmu_gva_to_gpa`.
    public var name: String
    /// A symbol, or a number.
    public var text: String
    /// The number that a hexadecimal `text` is; nil for any other.
    public var number: UInt64? { text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : nil }

    public init(name: String, text: String) {
      self.name = name
      self.text = text
    }
  }

  public init(function: String, isReturn: Bool, values: [Value]) {
    self.function = function
    self.isReturn = isReturn
    self.values = values
  }
}
