/// The task-state segment of long mode, of which the processor takes stacks (SDM vol. 3, figure 8-11).
public struct TaskStateSegment: Hashable, Sendable {
  /// The least limit that TR may have in long mode: 104 bytes (SDM vol. 3, 8.7).
  public static let leastLimit: UInt32 = 0x67

  public var base: LinearAddress

  public init(base: LinearAddress) { self.base = base }

  /// Where RSP0, RSP1 or RSP2 lies.
  public func stackPointerAddress(ofPrivilegeLevel level: Int) -> LinearAddress {
    LinearAddress(base.rawValue &+ 4 &+ 8 &* UInt64(level & 3))
  }

  /// Where an entry of the interrupt stack table lies, 1 to 7.
  public func stackPointerAddress(ofInterruptStack entry: Int) -> LinearAddress {
    LinearAddress(base.rawValue &+ 28 &+ 8 &* UInt64(entry & 7))
  }
}
