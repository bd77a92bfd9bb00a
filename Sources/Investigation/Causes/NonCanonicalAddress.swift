import X86

/// `memory.non-canonical`: an address whose upper bits are neither all 0 nor all 1.
struct NonCanonicalAddress: CauseOfDeath, SingleCause {
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
      + "\(fault.exception.vector.name), and no page table is looked at.\(caller)"
  }

  /// What a call or a return left on the stack; TCG raises the exception at the target (measured with 7.2).
  private var caller: String {
    guard isFetch, let instant = fault.instant else { return "" }
    if let address = instant.callerOnStack {
      return " The stack's top, \(address.hexadecimal), lies behind a CALL: it comes from there."
    }
    return instant.hasReturned
      ? " The word below the stack's top is the same: RET took it from there, so the return address was overwritten."
      : ""
  }

  var remedies: [Remedy] {
    return [
      .guest(
        "find out where the address comes from: memory that was overwritten or never set, a 32-bit address that was sign-extended, a "
          + "physical address with flags in it", "No memory can be there.\(contents)")
    ]
  }

  /// What the bytes of the address look like; a letter eight times over is what memory is filled with, rather than text.
  private var contents: String {
    if let byte = ASCII.fill(of: address.rawValue) {
      return " It is \(UInt64(byte).hexadecimal) in each byte, as memory that was filled or poisoned."
    }
    return ASCII.text(in: address.rawValue).map { " Its bytes read \"\($0)\": text was taken for a pointer." } ?? ""
  }
}

/// Numbers whose bytes are text.
enum ASCII {
  /// The byte that all eight are.
  static func fill(of value: UInt64) -> UInt8? {
    let byte = UInt8(truncatingIfNeeded: value)
    return value == UInt64(byte) &* 0x0101_0101_0101_0101 ? byte : nil
  }

  /// The bytes as text, in the order of memory, if all eight can be printed.
  static func text(in value: UInt64) -> String? {
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    guard bytes.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension NonCanonicalAddress {
  static let manual = """
    An address whose bits above 47 (above 56 with CR4.LA57) are not all equal to the highest bit used. No page table is looked at: #GP with
    error code 0, or #SS for an access through RSP or RBP.

    ## How to recognise it

    CR2 is of no meaning. The operand's registers are shown; a value whose bytes are text, or a repeated poison byte (AAH, AFH, CCH, DDH),
    tells where it comes from.

    ## Why

    A pointer read from memory that was overwritten or never set; a 32-bit address that was sign- or zero-extended wrongly; a page-table entry
    used as an address with bit 63 in it; RSP or a return address of nothing.

    ## Where

    Intel's processors check the target of a jump at the jump, AMD's at the first fetch; SYSRET to such an address raises #GP in the kernel on
    Intel's.

    SDM vol. 1, 3.3.7.1; vol. 2, SYSRET.
    """
}
