import X86

/// `paging.protection-key`: PKRU or IA32_PKRS forbids an access to the page's key.
struct ProtectionKey: PageFaultCause, SingleCause {
  static let id = "paging.protection-key"
  static let title = "A protection key forbids the access"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "its protection key forbids the access"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.protectionViolations(fault.state).contains(.protectionKey) else {
      return nil
    }
    (self.fault, self.access) = (fault, access)
  }

  /// Bits 62:59 of the leaf (SDM vol. 3, 4.6.2).
  private var key: UInt64 { (access.last?.entry.rawValue ?? 0) >> 59 & 0xF }

  var offendingBits: UInt64 { 0xF << 59 }

  var summary: String {
    "\(deed), a page with protection key \(key): bits \(2 * key) and \(2 * key + 1) of PKRU (IA32_PKRS for a supervisor's page) forbid it."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "allow the key with WRPKRU before the access", "Bit 2k of PKRU forbids any access to key k, bit 2k + 1 writes.")
    ]
  }
}

extension ProtectionKey {
  static let manual = """
    The page belongs to a protection key (bits 62:59 of its entry), and PKRU, for a supervisor's page IA32_PKRS, forbids the access: #PF with PK
    (bit 5) in the error code.

    ## Why

    Bits 62:59 were set by software that took them for free: with CR4.PKE they are the key. Or the program forbade itself the key with WRPKRU
    and forgot to allow it again.

    ## The cure

    WRPKRU with both bits of the key clear; leave bits 62:59 of entries zero where keys are not meant.

    SDM vol. 3, 4.6.2.
    """
}
