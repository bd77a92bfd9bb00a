public import X86

/// An event that is being delivered to a guest: Intel's interruption information (SDM vol. 3, tables 25-17 and 25-19)
/// and AMD's EXITINTINFO and EVENTINJ (APM vol. 2, 15.20), which have the same layout in the bits that are read here.
public struct EventInformation: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public enum Kind: UInt32, Sendable {
    case externalInterrupt = 0
    case nmi = 2
    case exception = 3
    /// INT n.
    case softwareInterrupt = 4
    /// INT1; Intel only.
    case privilegedSoftwareException = 5
    /// INT3 and INTO; Intel only.
    case softwareException = 6
    case other = 7
  }

  public var isValid: Bool { rawValue >> 31 == 1 }
  public var vector: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  /// Bits 10:8; nil for the one value that both manuals reserve.
  public var kind: Kind? { Kind(rawValue: rawValue >> 8 & 7) }
  public var hasErrorCode: Bool { rawValue >> 11 & 1 == 1 }
  /// Intel: the event came from an IRET that had unblocked NMIs.
  public var unblocksNMI: Bool { rawValue >> 12 & 1 == 1 }

  /// The exception, if it is one.
  public var exception: ExceptionVector? {
    switch kind {
    case .exception, .privilegedSoftwareException, .softwareException: ExceptionVector(rawValue: vector)
    default: nil
    }
  }

  /// Such as `#GP`, `interrupt 0x30`, `NMI`; nil where the word holds no event.
  public var name: String? {
    guard isValid else { return nil }
    return switch kind {
    case .exception, .softwareException, .privilegedSoftwareException: ExceptionVector(rawValue: vector).name
    case .nmi: "NMI"
    case .externalInterrupt: "interrupt 0x\(String(vector, radix: 16))"
    case .softwareInterrupt: "INT 0x\(String(vector, radix: 16))"
    case .other, nil: "event type \(rawValue >> 8 & 7), vector 0x\(String(vector, radix: 16))"
    }
  }
}
