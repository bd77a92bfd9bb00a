/// kvm_emulate_insn.
public struct KVMEmulation: Hashable, Sendable {
  /// The base of CS, cut to 32 bits by KVM.
  public var codeSegmentBase: UInt32
  /// The offset of the instruction's first byte in CS.
  public var rip: UInt64
  /// The fetch window, which may be longer than the instruction; empty when the fetch failed, and with trace-cmd's
  /// kvm plugin then the bytes of the instruction before.
  public var bytes: [UInt8]
  /// `real`, `prot16`, `prot32` or `prot64`; nil where the text does not show it.
  public var mode: String?
  /// Whether the emulator gave up. Not yet a death: at CPL 3 the guest gets #UD, and kvm_pvm has a fallback.
  public var failed: Bool

  public init(codeSegmentBase: UInt32, rip: UInt64, bytes: [UInt8], mode: String?, failed: Bool) {
    self.codeSegmentBase = codeSegmentBase
    self.rip = rip
    self.bytes = bytes
    self.mode = mode
    self.failed = failed
  }
}
