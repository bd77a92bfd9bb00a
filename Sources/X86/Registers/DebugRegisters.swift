/// DR0 to DR3, DR6 and DR7 (SDM vol. 3, 17.2).
public struct DebugRegisters: Hashable, Sendable {
  public var dr0: UInt64
  public var dr1: UInt64
  public var dr2: UInt64
  public var dr3: UInt64
  /// What #DB was raised for: the processor sets bits there and never clears them.
  public var dr6: UInt64
  /// Which breakpoints are on, and for what.
  public var dr7: UInt64

  public init(dr0: UInt64, dr1: UInt64, dr2: UInt64, dr3: UInt64, dr6: UInt64, dr7: UInt64) {
    self.dr0 = dr0
    self.dr1 = dr1
    self.dr2 = dr2
    self.dr3 = dr3
    self.dr6 = dr6
    self.dr7 = dr7
  }

  /// One of the four breakpoints, if DR7 turns it on.
  public struct Breakpoint: Hashable, Sendable {
    /// 0 to 3.
    public var number: Int
    public var address: LinearAddress
    /// Whether it is for executing the instruction there; else for an access to data, or to a port.
    public var isOfExecution: Bool
    /// Whether DR6 says that it was met.
    public var isMet: Bool
  }

  /// Those that are on: Ln or Gn, bits 2n and 2n + 1 of DR7; R/Wn, bits 16 + 4n on, is 0 for execution.
  public var breakpoints: [Breakpoint] {
    [dr0, dr1, dr2, dr3].enumerated().compactMap { number, address in
      guard dr7 >> UInt64(2 * number) & 3 != 0 else { return nil }
      return Breakpoint(
        number: number, address: LinearAddress(address), isOfExecution: dr7 >> UInt64(16 + 4 * number) & 3 == 0,
        isMet: dr6 >> UInt64(number) & 1 != 0)
    }
  }

  /// BS: a #DB was raised because RFLAGS.TF was set.
  public var isSingleStepMet: Bool { dr6 & 1 << 14 != 0 }
}
