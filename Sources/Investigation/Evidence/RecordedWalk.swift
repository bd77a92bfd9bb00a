import KVM
public import X86

/// A walk of the guest's page tables that KVM made and traced: kvm_mmu_pagetable_walk, a kvm_mmu_paging_element for
/// each entry read, and kvm_mmu_walker_error if it failed (arch/x86/kvm/mmu/paging_tmpl.h: walk_addr_generic).
public struct RecordedWalk: Hashable, Sendable {
  /// An entry as the walk read it.
  public struct Element: Hashable, Sendable {
    public var level: Int
    public var entry: UInt64
    public var source: Source
  }

  public var address: LinearAddress
  /// What the access asked for: W, U and F.
  public var access: PageFaultErrorCode
  public var elements: [Element]
  /// The error code of the #PF that results; nil for a walk that succeeded.
  public var error: PageFaultErrorCode?
  public var source: Source
  public var errorSource: Source?
  /// The index of the last of its records among those it was read from.
  public var lastRecord: Int
}

extension RecordedWalk {
  /// The walks in `records`, which must be of one thread and in order.
  ///
  /// A walk whose beginning was overwritten or cut off is left out: its address is not known.
  static func walks(in records: some Sequence<KVMRecord>) -> [RecordedWalk] {
    var walks: [RecordedWalk] = []
    var isOpen = false
    for (index, record) in records.enumerated() {
      switch record.event {
      case .pagetableWalk(let address, let access):
        walks.append(
          RecordedWalk(
            address: address, access: access, elements: [], error: nil,
            source: .trace(event: "kvm_mmu_pagetable_walk", time: record.time), errorSource: nil,
            lastRecord: index))
        isOpen = true
      case .pagingElement(let entry, let level) where isOpen:
        walks[walks.count - 1].elements.append(
          Element(
            level: level, entry: entry, source: .trace(event: "kvm_mmu_paging_element", time: record.time)))
        walks[walks.count - 1].lastRecord = index
      case .walkerError(let error) where isOpen:
        walks[walks.count - 1].error = error
        walks[walks.count - 1].errorSource = .trace(event: "kvm_mmu_walker_error", time: record.time)
        walks[walks.count - 1].lastRecord = index
        isOpen = false
      case .exit, .entry, .injectException, .userspaceExit, .emulateInstruction:
        isOpen = false
      default:
        break
      }
    }
    return walks
  }
}
