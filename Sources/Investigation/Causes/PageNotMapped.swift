import GuestImage
import QEMU
import X86

/// `paging.not-present`: an access to data that is not mapped.
struct PageNotMapped: PageFaultCause, SingleCause {
  static let id = "paging.not-present"
  static let title = "An access to memory that is not mapped"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present"
  /// The address that the instruction has in itself, and what is there, where 64-bit mode made another of it.
  private let meant: (address: UInt64, name: String)?

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoPage, access.access.kind != .fetch else { return nil }
    (self.fault, self.access) = (fault, access)
    meant = Self.meant(fault, access.address, scene)
  }

  private static let topOfAddresses: UInt64 = 0xFFFF_FFFF_8000_0000

  /// An absolute address of 32 bits is extended by its sign (SDM vol. 2, 2.2.1.3). Kernels at the top of the address space mean it so; one below
  /// 4 GiB where the machine has something is likely to be meant as it stands, by code that does not itself run at the top.
  private static func meant(_ fault: FirstFault, _ address: LinearAddress, _ scene: Scene) -> (UInt64, String)? {
    guard let state = fault.state, state.mode == .long64, let memory = fault.operand(at: address)?.memory,
      memory.base == nil, memory.index == nil, address.rawValue >= topOfAddresses,
      state.instructionAddress.rawValue < topOfAddresses, scene.image?.place(of: address.rawValue) == nil
    else { return nil }
    let low = PhysicalAddress(address.rawValue & 0xFFFF_FFFF)
    guard let range = scene.memoryMap?.ranges.first(where: { $0.first <= low && low <= $0.last }) else { return nil }
    return (low.rawValue, range.name)
  }

  private var extensionWords: String {
    meant.map {
      " The instruction holds \($0.address.hexadecimal), where the machine has \($0.name); 64-bit mode extends an absolute address of 32 bits by its sign."
    } ?? ""
  }

  var summary: String { "\(deed), which is not mapped: \(lastEntry) is not present.\(extensionWords)" }

  var remedies: [Remedy] {
    if let meant {
      return [
        .guest(
          "put the address into a register first (mov eax, \(meant.address.hexadecimal) clears the upper half), access through it, and map it",
          "As an operand of its own an address from 80000000H up becomes one at the top of the address space.")
      ]
    }
    return [
      .guest(
        "map \(place), or find out where the address comes from",
        "If the kernel means to map pages on demand, a handler for #PF must be in the IDT before.")
    ]
  }
}

extension PageNotMapped {
  static let manual = """
    The guest reads or writes an address that its page tables do not map: #PF, with the address in CR2 and P (bit 0) clear in the error code.

    ## How to recognise it

    `inquest walk CR2` shows at which level the walk ends. `inquest map` shows what is mapped around it.

    ## Why

    - A physical address used as a linear one (a device's BAR, a table of ACPI, a boot module) outside the part that is mapped.
    - A bad pointer.
    - Memory that a handler of #PF is to map on demand, before the handler is there.

    ## The cure

    Map the address, or find where it comes from: the operand's registers are shown.

    SDM vol. 3, 4.7.
    """
}
