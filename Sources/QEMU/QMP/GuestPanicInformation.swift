/// What `GUEST_PANICKED` tells besides the fact.
public enum GuestPanicInformation: Hashable, Sendable {
  /// The five parameters of Hyper-V's crash registers.
  case hyperV([UInt64])

  /// - Parameter data: The event's data; its `info` has a `type` and, for Hyper-V, `arg1` to `arg5` (qapi/run-state.json,
  ///   7.2). pvpanic has none.
  public init?(_ data: JSONValue) {
    guard let info = data["info"], info["type"]?.string == "hyper-v" else { return nil }
    let parameters = (1...5).compactMap { info["arg\($0)"]?.uint64 }
    guard parameters.count == 5 else { return nil }
    self = .hyperV(parameters)
  }
}
