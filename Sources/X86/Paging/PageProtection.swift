/// The registers that decide whether a mapped page may be accessed (SDM vol. 3, 4.6).
public struct PageProtection: Hashable, Sendable {
  /// CR0.WP.
  public var writeProtect: Bool
  /// CR4.SMEP.
  public var supervisorExecutionPrevention: Bool
  /// CR4.SMAP.
  public var supervisorAccessPrevention: Bool
  /// RFLAGS.AC, which lifts SMAP for explicit accesses.
  public var alignmentCheck: Bool
  /// CR4.PKE.
  public var protectionKeys: Bool
  /// PKRU, which counts with CR4.PKE; nil where it is not known.
  public var pkru: UInt32?
  /// CR4.PKS.
  public var supervisorProtectionKeys: Bool
  /// IA32_PKRS, which counts with CR4.PKS; nil where it is not known.
  public var pkrs: UInt32?

  public init(cr0: CR0, cr4: CR4, rflags: RFLAGS, pkru: UInt32? = nil, pkrs: UInt32? = nil) {
    writeProtect = cr0.contains(.writeProtect)
    supervisorExecutionPrevention = cr4.contains(.supervisorExecutionPrevention)
    supervisorAccessPrevention = cr4.contains(.supervisorAccessPrevention)
    alignmentCheck = rflags.contains(.alignmentCheck)
    protectionKeys = cr4.contains(.protectionKeys)
    self.pkru = pkru
    supervisorProtectionKeys = cr4.contains(.supervisorProtectionKeys)
    self.pkrs = pkrs
  }
}

/// The protection checks that an access fails. More than one may; the processor names none of them but the key.
public struct ProtectionViolations: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A write, and R/W is clear at some level, and the access is a user's or CR0.WP is set.
  public static let readOnly = Self(rawValue: 1 << 0)
  /// A user's access, and U/S is clear at some level.
  public static let supervisorOnly = Self(rawValue: 1 << 1)
  /// A fetch, and XD is set at some level.
  public static let executeDisabled = Self(rawValue: 1 << 2)
  /// SMEP: a supervisor's fetch from a user page.
  public static let supervisorExecution = Self(rawValue: 1 << 3)
  /// SMAP: a supervisor's data access to a user page.
  public static let supervisorAccess = Self(rawValue: 1 << 4)
  /// PKRU, or IA32_PKRS for a supervisor page, forbids the access to the page's protection key.
  public static let protectionKey = Self(rawValue: 1 << 5)
}

extension PageProtection {
  /// What a protection key says of an access.
  enum KeyVerdict {
    case allows
    case forbids
    /// PKRU or IA32_PKRS decides and is not known.
    case unknown
  }

  /// The checks that need no protection key (KVM: `mmu.c: update_permission_bitmask`, 6.19; SDM vol. 3, 4.6.1).
  func violations(of access: PageAccess, to rights: PageRights) -> ProtectionViolations {
    var violations: ProtectionViolations = []
    if access.isUser {
      if !rights.contains(.user) { violations.insert(.supervisorOnly) }
    } else if rights.contains(.user) {
      violations.formUnion(supervisorViolations(of: access))
    }
    switch access.kind {
    case .read: break
    case .write:
      if !rights.contains(.write) && (access.isUser || writeProtect) { violations.insert(.readOnly) }
    case .fetch:
      if !rights.contains(.execute) { violations.insert(.executeDisabled) }
    }
    return violations
  }

  /// SMEP and SMAP: the supervisor's access to a user page.
  private func supervisorViolations(of access: PageAccess) -> ProtectionViolations {
    if access.kind == .fetch { return supervisorExecutionPrevention ? .supervisorExecution : [] }
    let isLifted = alignmentCheck && access.privilege == .supervisor
    return supervisorAccessPrevention && !isLifted ? .supervisorAccess : []
  }

  /// Protection keys (SDM vol. 3, 4.6.2): they bind data accesses, and their verdict does not depend on other checks.
  ///
  /// KVM knows no IA32_PKRS (6.19) and refuses CR4.PKS; TCG knows both.
  func keyVerdict(on access: PageAccess, key: UInt8, rights: PageRights) -> KeyVerdict {
    let isUserPage = rights.contains(.user)
    guard access.kind != .fetch, isUserPage ? protectionKeys : supervisorProtectionKeys else { return .allows }
    guard let register = isUserPage ? pkru : pkrs else { return .unknown }
    let bits = register >> (2 * UInt32(key & 0xF))
    let isAccessDisabled = bits & 1 != 0
    let isWriteDisabled = bits & 2 != 0 && (access.isUser || writeProtect)
    return isAccessDisabled || access.kind == .write && isWriteDisabled ? .forbids : .allows
  }
}
