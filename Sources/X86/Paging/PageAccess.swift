/// An access to memory as paging sees it.
public struct PageAccess: Hashable, Sendable {
  public enum Kind: Hashable, Sendable, CaseIterable {
    case read
    case write
    /// An instruction fetch.
    case fetch
  }

  /// On whose behalf the access is made (SDM vol. 3, 4.6).
  public enum Privilege: Hashable, Sendable, CaseIterable {
    /// An explicit access at CPL 3.
    case user
    /// An explicit access at CPL 0, 1 or 2.
    case supervisor
    /// An access of the processor to its own structures (GDT, IDT, TSS) at CPL 0, 1 or 2: RFLAGS.AC does not lift SMAP,
    /// but for some walkers (``WalkerQuirks/alignmentCheckLiftsImplicit``).
    case implicitSupervisor
    /// The same at CPL 3, where RFLAGS.AC lifts SMAP for no walker.
    case implicitSupervisorAtCPL3
  }

  public var kind: Kind
  public var privilege: Privilege

  @inlinable
  public init(_ kind: Kind, by privilege: Privilege) {
    self.kind = kind
    self.privilege = privilege
  }

  /// The access that the W, U and F bits of an error code describe, as `kvm_mmu_pagetable_walk` prints them.
  ///
  /// They do not say whether a supervisor's access is implicit; it is taken to be explicit. F is also absent from the
  /// code of a fault where neither EFER.NXE nor CR4.SMEP is set, and then a fetch looks like a read.
  public init(_ code: PageFaultErrorCode) {
    kind = code.contains(.fetch) ? .fetch : code.contains(.write) ? .write : .read
    privilege = code.contains(.user) ? .user : .supervisor
  }

  @inlinable
  public var isUser: Bool { privilege == .user }
}
