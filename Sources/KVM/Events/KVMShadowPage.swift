/// One page of KVM's own page tables, as kvm_mmu_get_page and its relatives record it.
public struct KVMShadowPage: Hashable, Sendable {
  public enum Action: Hashable, Sendable {
    /// kvm_mmu_get_page: found, or made anew.
    case get(isNew: Bool)
    case sync
    case unsync
    case prepareZap
  }

  public var action: Action
  /// The guest page frame that the page translates from; nil where trace-cmd's kvm plugin does not print it.
  public var frame: UInt64?
  /// Of the entries in it: 1 maps 4 KiB pages.
  public var level: Int
  /// Which part of a larger guest table it stands for.
  public var quadrant: Int
  /// Whether there is no guest table behind it (paging off, or two-dimensional paging).
  public var isDirect: Bool
  /// What the guest's upper levels allow.
  public var access: Access
  /// How many vCPUs use it as their root.
  public var rootCount: UInt32
  /// Whether the guest may have changed the table behind it.
  public var isUnsynchronized: Bool

  /// The bits of the role's access field.
  public struct Access: OptionSet, Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let execute = Self(rawValue: 1)
    public static let write = Self(rawValue: 2)
    public static let user = Self(rawValue: 4)
  }

  public init(
    action: Action, frame: UInt64?, level: Int, quadrant: Int, isDirect: Bool, access: Access, rootCount: UInt32,
    isUnsynchronized: Bool
  ) {
    self.action = action
    self.frame = frame
    self.level = level
    self.quadrant = quadrant
    self.isDirect = isDirect
    self.access = access
    self.rootCount = rootCount
    self.isUnsynchronized = isUnsynchronized
  }

  /// Reads the bits of `union kvm_mmu_page_role` that are where they were in all kernels from 4.x to 6.19
  /// (arch/x86/include/asm/kvm_host.h).
  init(action: Action, frame: UInt64?, role: UInt32, rootCount: UInt32, isUnsynchronized: Bool) {
    self.init(
      action: action, frame: frame, level: Int(role & 0xf), quadrant: Int(role >> 5 & 3),
      isDirect: role >> 7 & 1 == 1, access: Access(rawValue: UInt8(role >> 8 & 7)), rootCount: rootCount,
      isUnsynchronized: isUnsynchronized)
  }
}
