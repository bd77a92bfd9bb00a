/// How linear addresses are translated (SDM vol. 3, 4.1.1 "Four Paging Modes").
public enum PagingMode: Hashable, Sendable, CaseIterable {
  /// CR0.PG is clear: a linear address is a physical address.
  case none
  /// 32-bit paging: two levels of 4-byte entries.
  case twoLevel
  /// PAE paging: three levels of 8-byte entries, the topmost held in registers.
  case pae
  /// 4-level paging.
  case fourLevel
  /// 5-level paging.
  case fiveLevel

  /// The mode that the registers select, or nil where only an unknown EFER can tell.
  ///
  /// With CR0.PG and CR4.PAE set, EFER.LMA decides between PAE paging and long mode; CR4.LA57 counts only in long mode.
  /// Processors and KVM refuse to clear PAE in long mode. TCG does not, and then walks as in 32-bit paging
  /// (target/i386/tcg/sysemu/excp_helper.c: mmu_translate, 7.2).
  public init?(cr0: CR0, cr4: CR4, efer: EFER?) {
    guard cr0.contains(.paging) else {
      self = .none
      return
    }
    if !cr4.contains(.physicalAddressExtension) {
      self = .twoLevel
    } else if efer?.contains(.longModeActive) == true {
      self = .longMode(cr4)
    } else if efer != nil {
      self = .pae
    } else {
      return nil
    }
  }

  /// The mode of long mode: CR4.LA57 decides.
  static func longMode(_ cr4: CR4) -> Self { cr4.contains(.linearAddress57) ? .fiveLevel : .fourLevel }

  /// How many tables a translation to a 4 KiB page reads; 0 without paging.
  public var levels: Int {
    switch self {
    case .none: 0
    case .twoLevel: 2
    case .pae: 3
    case .fourLevel: 4
    case .fiveLevel: 5
    }
  }

  /// The manual's name of the mode, such as `4-level paging`.
  public var name: String {
    switch self {
    case .none: "no paging"
    case .twoLevel: "32-bit paging"
    case .pae: "PAE paging"
    case .fourLevel: "4-level paging"
    case .fiveLevel: "5-level paging"
    }
  }
}

extension ProcessorState {
  /// The paging mode in force, or nil where it is either PAE paging or long mode's and nothing tells which.
  ///
  /// Nil needs an unknown EFER, CR4.PAE set, and a code segment that is not 64-bit. A 64-bit code segment proves long
  /// mode: outside it the L bit is reserved (SDM vol. 3, 3.4.5).
  public var pagingMode: PagingMode? {
    PagingMode(cr0: cr0, cr4: cr4, efer: efer) ?? (isLongModeActive ? .longMode(cr4) : nil)
  }
}
