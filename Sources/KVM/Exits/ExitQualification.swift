public import X86

/// The exit qualification of an EPT violation (SDM vol. 3, table 28-7), which is also what kvm_page_fault records as
/// error code for one (vmx.c: handle_ept_violation, Linux 6.19).
public struct EPTViolationQualification: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let read = Self(rawValue: 1 << 0)
  public static let write = Self(rawValue: 1 << 1)
  public static let fetch = Self(rawValue: 1 << 2)
  /// The EPT entries allow reads; with `entryWritable` and `entryExecutable` clear too, none is present.
  public static let entryReadable = Self(rawValue: 1 << 3)
  public static let entryWritable = Self(rawValue: 1 << 4)
  public static let entryExecutable = Self(rawValue: 1 << 5)
  public static let entryUserExecutable = Self(rawValue: 1 << 6)
  /// The guest-linear address is known.
  public static let linearAddressValid = Self(rawValue: 1 << 7)
  /// The access was to the translation of the linear address; clear: to a paging structure during the guest's walk.
  public static let finalAddress = Self(rawValue: 1 << 8)

  /// Such as `write to an address that EPT does not map`.
  public var description: String {
    var accesses: [String] = []
    if contains(.read) { accesses.append("read") }
    if contains(.write) { accesses.append("write") }
    if contains(.fetch) { accesses.append("fetch") }
    let access = accesses.isEmpty ? "access" : accesses.joined(separator: " and ")
    let target =
      contains(.linearAddressValid) && !contains(.finalAddress) ? "a page table of the guest" : "an address"
    let isMapped = !isDisjoint(with: [.entryReadable, .entryWritable, .entryExecutable])
    return "\(access) of \(target) that EPT \(isMapped ? "does not allow" : "does not map")"
  }
}

/// EXITINFO1 of an AMD nested page fault (APM vol. 2, 15.25.6), which is also what kvm_page_fault records as error code
/// for one (svm.c: npf_interception, Linux 6.19).
public struct NestedPageFaultInformation: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The fault was an RMP violation (SEV-SNP).
  public static let rmp = Self(rawValue: 1 << 31)
  /// The fault came at the guest's final physical address.
  public static let finalAddress = Self(rawValue: 1 << 32)
  /// The fault came while the guest's page tables were read.
  public static let guestPageTable = Self(rawValue: 1 << 33)

  /// The low bits, which are those of a #PF.
  public var access: PageFaultErrorCode {
    PageFaultErrorCode(rawValue: UInt32(truncatingIfNeeded: rawValue & 0x7fff_ffff))
  }
}

/// The exit qualification of a control-register access (SDM vol. 3, table 28-3).
public struct ControlRegisterAccess: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public enum Kind: UInt64, Sendable {
    case moveTo = 0
    case moveFrom = 1
    case clts = 2
    case lmsw = 3
  }

  public var register: Int { Int(rawValue & 0xf) }
  public var kind: Kind? { Kind(rawValue: rawValue >> 4 & 3) }
  /// The general-purpose register, in the encoding of instructions.
  public var generalRegister: Int { Int(rawValue >> 8 & 0xf) }
}

/// Where a port access is described: Intel's exit qualification (SDM vol. 3, table 28-5), AMD's EXITINFO1 (APM vol. 2,
/// 15.10.2).
public struct PortAccess: Hashable, Sendable {
  public var port: UInt16
  /// In bytes: 1, 2 or 4.
  public var size: Int
  public var isIn: Bool
  public var isString: Bool
  public var isRepeated: Bool

  /// Reads Intel's exit qualification; nil if it holds no valid size.
  public init?(exitQualification value: UInt64) {
    switch value & 7 {
    case 0: size = 1
    case 1: size = 2
    case 3: size = 4
    default: return nil
    }
    isIn = value >> 3 & 1 == 1
    isString = value >> 4 & 1 == 1
    isRepeated = value >> 5 & 1 == 1
    port = UInt16(truncatingIfNeeded: value >> 16)
  }

  /// Reads AMD's EXITINFO1; nil if it holds no valid size.
  public init?(exitInfo1 value: UInt64) {
    switch value >> 4 & 7 {
    case 1: size = 1
    case 2: size = 2
    case 4: size = 4
    default: return nil
    }
    isIn = value & 1 == 1
    isString = value >> 2 & 1 == 1
    isRepeated = value >> 3 & 1 == 1
    port = UInt16(truncatingIfNeeded: value >> 16)
  }
}
