/// What an exception does to one that is being delivered (SDM vol. 3, tables 6-4 and 6-5).
public enum ExceptionClass: Hashable, Sendable {
  /// Delivered as if nothing had been under way.
  case benign
  /// #DE, #TS, #NP, #SS, #GP, and #CP: two of them make a double fault.
  case contributory
  case pageFault
  /// #DF: what comes while it is delivered shuts the processor down.
  case doubleFault
}

extension ExceptionVector {
  public var exceptionClass: ExceptionClass {
    switch self {
    case .divideError, .invalidTSS, .segmentNotPresent, .stackFault, .generalProtection, .controlProtection:
      .contributory
    case .pageFault: .pageFault
    case .doubleFault: .doubleFault
    default: .benign
    }
  }

  /// What the processor delivers when `second` comes up while this one is being delivered; nil if it shuts down.
  public func interrupted(by second: ExceptionVector) -> ExceptionVector? {
    switch (exceptionClass, second.exceptionClass) {
    case (.doubleFault, .benign): second
    case (.doubleFault, _): nil
    case (.benign, _), (.contributory, .benign), (.contributory, .pageFault), (.pageFault, .benign): second
    case (.contributory, _), (.pageFault, _): .doubleFault
    }
  }
}
