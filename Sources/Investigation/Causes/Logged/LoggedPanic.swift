import GuestImage
import QEMU
import X86

/// `guest.panic` by a log of `-d int,in_asm` that ends with the block in which the guest tells the pvpanic device of its panic.
///
/// TCG lists a block right before it is executed for the first time, and QEMU stops a guest that panicked, by default for good
/// (hw/misc/pvpanic.c: handle_event, softmmu/runstate.c: qemu_system_guest_panicked, 7.2).
struct LoggedPanic: JudgedCause {
  private let out: Instruction
  private let port: UInt16
  private let source: Source

  init?(_ scene: Scene) {
    guard scene.memory == nil, scene.trace.isEmpty, scene.ending == .unknown,
      let port = scene.commandLine?.panicPort, let (listing, source) = scene.lastListing,
      let block = listing.instructions
    else { return nil }
    var constants = ListedConstants()
    var panic: Instruction?
    for instruction in block {
      if instruction.portWritten(constants) == port, instruction.byteWritten(constants).map({ $0 & 1 }) == 1 {
        panic = instruction
      }
      constants.take(instruction)
    }
    guard let panic else { return nil }
    (out, self.port, self.source) = (panic, port, source)
  }

  var id: String { GuestPanic.id }
  var title: String { GuestPanic.title }

  var summary: String {
    "The log ends with a block in which `\(out.text)` at \(out.address.hexadecimal) writes to port \(port.hexadecimal): that of the pvpanic device, which tells "
      + "QEMU that the guest's kernel panicked. What it panicked of is on its console."
  }

  var remedies: [Remedy] { GuestPanic.remedies }

  var evidence: [Evidence] { [Evidence("The last block that TCG listed", source)] }
}

extension Scene {
  /// The listing of the guest's code that a log ends with; nil where it ends otherwise.
  var lastListing: (listing: CodeListing, source: Source)? {
    let last = log.last { if case .statement = $0.value { false } else { true } }
    guard let last, case .codeListing(let listing) = last.value, listing.isOfGuest else { return nil }
    return (listing, last.source)
  }
}

extension Instruction {
  /// The port that OUT writes to, where it is known.
  fileprivate func portWritten(_ constants: ListedConstants) -> UInt16? {
    mnemonic == "out" ? port(constants) : nil
  }

  /// The port that IN or OUT names: an immediate, or DX.
  func port(_ constants: ListedConstants) -> UInt16? {
    let explicit = operands.filter(\.isExplicit)
    for operand in explicit {
      if case .immediate(let port) = operand.value { return UInt16(truncatingIfNeeded: port) }
    }
    return constants.register(2, bits: 16).map { UInt16(truncatingIfNeeded: $0) }
  }

  /// What OUT writes to the port's first byte: AL.
  fileprivate func byteWritten(_ constants: ListedConstants) -> UInt64? { constants.register(0, bits: 8) }
}
