/// The EPTP list: the page of 512 pointers among which a guest may choose with VMFUNC leaf 0 (SDM vol. 3, 26.5.6.3).
public struct EPTPList: Hashable, Sendable {
  /// How many pointers the page has.
  public static let count = 512

  /// The page that the VMCS field EPTP-list address names, host-physical.
  public var address: PhysicalAddress

  public init(address: PhysicalAddress) { self.address = address }

  /// What becomes of VMFUNC with EAX = 0 and some ECX.
  public enum Switch: Hashable, Sendable {
    /// The guest goes on with this pointer.
    case switches(to: EPTPointer)
    /// ECX is 512 or more: a VM exit.
    case indexTooLarge
    /// The entry is a pointer that VM entry would refuse: a VM exit.
    case invalid(EPTPointer, EPTPointerViolations)
    /// The page cannot be read.
    case unavailable(UnavailableMemory)
  }

  /// What VMFUNC does with entry `index`.
  public func entry(
    _ index: UInt32, in memory: borrowing some PhysicalMemory, rules: EPTRules = EPTRules()
  ) -> Switch {
    guard index < Self.count else { return .indexTooLarge }
    do throws(UnavailableMemory) {
      let place = PhysicalAddress((address.rawValue & ~0xFFF) &+ 8 &* UInt64(index))
      let pointer = EPTPointer(try memory.loadUInt64(at: place))
      let violations = pointer.violations(
        capabilities: rules.capabilities, maximumPhysicalAddressBits: rules.maximumPhysicalAddressBits)
      return violations.isEmpty ? .switches(to: pointer) : .invalid(pointer, violations)
    } catch {
      return .unavailable(error)
    }
  }

  /// Where entry `index` would map a guest-physical address; nil where VMFUNC does not switch to it.
  public func walk(
    _ guestAddress: PhysicalAddress, for access: EPTAccess, throughEntry index: UInt32,
    in memory: borrowing some PhysicalMemory, rules: EPTRules = EPTRules()
  ) -> EPTWalk? {
    guard case .switches(let pointer) = entry(index, in: memory, rules: rules) else { return nil }
    return ExtendedPaging(pointer: pointer, rules: rules).walk(guestAddress, for: access, in: memory)
  }
}
