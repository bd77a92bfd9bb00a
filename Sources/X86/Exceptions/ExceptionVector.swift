/// The number of an exception (SDM vol. 3, table 6-1; APM vol. 2, table 8-1).
public struct ExceptionVector: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let divideError = Self(rawValue: 0)
  public static let debug = Self(rawValue: 1)
  public static let nonMaskableInterrupt = Self(rawValue: 2)
  public static let breakpoint = Self(rawValue: 3)
  public static let overflow = Self(rawValue: 4)
  public static let boundRange = Self(rawValue: 5)
  public static let invalidOpcode = Self(rawValue: 6)
  public static let deviceNotAvailable = Self(rawValue: 7)
  public static let doubleFault = Self(rawValue: 8)
  public static let invalidTSS = Self(rawValue: 10)
  public static let segmentNotPresent = Self(rawValue: 11)
  public static let stackFault = Self(rawValue: 12)
  public static let generalProtection = Self(rawValue: 13)
  public static let pageFault = Self(rawValue: 14)
  public static let x87FloatingPoint = Self(rawValue: 16)
  public static let alignmentCheck = Self(rawValue: 17)
  public static let machineCheck = Self(rawValue: 18)
  public static let simdFloatingPoint = Self(rawValue: 19)
  public static let virtualization = Self(rawValue: 20)
  public static let controlProtection = Self(rawValue: 21)

  /// Whether delivery pushes an error code: #DF, #TS to #PF, #AC, #CP, and #VC and #SX (SDM vol. 3, table 6-1; APM vol. 2, 8.2).
  public var hasErrorCode: Bool {
    switch rawValue {
    case 8, 10...14, 17, 21, 29, 30: true
    default: false
    }
  }

  /// The manuals' short name such as `#PF`, or `vector 32` for what has none.
  public var name: String {
    switch rawValue {
    case 0: "#DE"
    case 1: "#DB"
    case 2: "NMI"
    case 3: "#BP"
    case 4: "#OF"
    case 5: "#BR"
    case 6: "#UD"
    case 7: "#NM"
    case 8: "#DF"
    case 10: "#TS"
    case 11: "#NP"
    case 12: "#SS"
    case 13: "#GP"
    case 14: "#PF"
    case 16: "#MF"
    case 17: "#AC"
    case 18: "#MC"
    case 19: "#XM"
    case 20: "#VE"
    case 21: "#CP"
    case 28: "#HV"
    case 29: "#VC"
    case 30: "#SX"
    default: "vector \(rawValue)"
    }
  }
}

/// The error code of a page fault (SDM vol. 3, 4.7).
public struct PageFaultErrorCode: OptionSet, Hashable, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// P: the walk found a present entry and failed for another reason.
  public static let present = Self(rawValue: 1 << 0)
  /// W/R: the access was a write.
  public static let write = Self(rawValue: 1 << 1)
  /// U/S: the access was a user-mode access.
  public static let user = Self(rawValue: 1 << 2)
  /// RSVD: a reserved bit was set in a paging-structure entry.
  public static let reserved = Self(rawValue: 1 << 3)
  /// I/D: the access was an instruction fetch.
  public static let fetch = Self(rawValue: 1 << 4)
  /// PK: a protection key refused the access.
  public static let protectionKey = Self(rawValue: 1 << 5)
  /// SS: a shadow-stack access.
  public static let shadowStack = Self(rawValue: 1 << 6)
  /// SGX: the SGX access rules refused it.
  public static let sgx = Self(rawValue: 1 << 15)

  /// The flags that are set, as KVM's tracepoints name them: `P|W|U|RSVD|F`, then PK, SS and SGX.
  public var names: [String] {
    let table: [(Self, String)] = [
      (.present, "P"), (.write, "W"), (.user, "U"), (.reserved, "RSVD"), (.fetch, "F"),
      (.protectionKey, "PK"), (.shadowStack, "SS"), (.sgx, "SGX"),
    ]
    return table.filter { contains($0.0) }.map { $0.1 }
  }
}
