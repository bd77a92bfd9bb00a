import X86

/// `memory.non-canonical`: an address whose upper bits are neither all 0 nor all 1.
struct NonCanonicalAddress: CauseOfDeath {
  static let id = "memory.non-canonical"
  static let title = "An address that is not canonical"

  private let fault: FirstFault
  private let address: LinearAddress

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .notCanonical(let address) = fault.exception.reason else { return nil }
    self.fault = fault
    self.address = address
  }

  private var isFetch: Bool { address == fault.state?.instructionAddress }

  var summary: String {
    let width = fault.state?.cr4.contains(.linearAddress57) == true ? 57 : 48
    let registers = fault.operand(at: address).flatMap(fault.registers).map { " (\($0))" } ?? ""
    let deed = isFetch ? "RIP is" : "\(fault.instructionName) uses"
    return
      "\(deed) \(address.rawValue.hexadecimal)\(registers), which is not canonical: bits 63 to \(width - 1) must all be equal. "
      + "\(fault.exception.vector.name), and no page table is looked at."
  }

  var remedies: [Remedy] {
    let text = ASCII.text(in: address.rawValue).map { " Its bytes read \"\($0)\": text was taken for a pointer." } ?? ""
    return [
      .guest(
        "find out where the address comes from: memory that was overwritten or never set, a 32-bit address that was sign-extended, a "
          + "physical address with flags in it", "No memory can be there.\(text)")
    ]
  }
}

/// Numbers whose bytes are text.
enum ASCII {
  /// The bytes as text, in the order of memory, if all eight can be printed.
  static func text(in value: UInt64) -> String? {
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    guard bytes.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
