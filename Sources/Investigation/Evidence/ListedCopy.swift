import GuestImage
import QEMU
import X86

/// A copy or a fill that a listing beside a log shows with the constants it was given: REP MOVS or REP STOS.
struct ListedCopy: Hashable {
  /// `rep movsb` at its address.
  var instruction: Instruction
  /// The linear addresses that it wrote.
  var destination: Range<UInt64>

  var words: String {
    "`\(instruction.text)` at \(instruction.address.hexadecimal) wrote the \(destination.count) bytes from \(destination.lowerBound.hexadecimal) on"
  }
}

extension Scene {
  /// The last copy that a listing of the guest shows over `address`; nil where none does, and where a listing does not show what the copy was
  /// given.
  func listedCopy(over address: UInt64, _ state: ProcessorState) -> Sourced<ListedCopy>? {
    log.lazy.reversed().compactMap { entry -> Sourced<ListedCopy>? in
      guard case .codeListing(let listing) = entry.value, listing.isOfGuest else { return nil }
      let copies = ListedCopy.all(in: listing, state)
      return copies.last { $0.destination.contains(address) }.map { Sourced($0, entry.source) }
    }.first
  }
}

extension ListedCopy {
  /// The copies of one listing, in its order: upward, as with RFLAGS.DF clear.
  fileprivate static func all(in listing: CodeListing, _ state: ProcessorState) -> [Self] {
    var constants = ListedConstants()
    var copies: [Self] = []
    for line in listing.lines {
      guard let instruction = try? Instruction.decode(line.bytes, at: line.address, mode: state.mode) else { continue }
      if instruction.isRepeatedStore, let start = constants.register(7), let count = constants.register(1) {
        let (size, isTooLarge) = count.multipliedReportingOverflow(by: UInt64(instruction.operandWidth / 8))
        let first = state.mode == .long64 ? start : start &+ state.es.base
        let (end, wraps) = first.addingReportingOverflow(size)
        if !isTooLarge, !wraps { copies.append(Self(instruction: instruction, destination: first..<end)) }
      }
      constants.take(instruction)
    }
    return copies
  }
}

extension Instruction {
  /// REP before MOVS or STOS (SDM vol. 2, REP).
  fileprivate var isRepeatedStore: Bool {
    category == "STRINGOP" && (mnemonic.hasPrefix("movs") || mnemonic.hasPrefix("stos"))
      && bytes.prefix(4).contains(0xF3)
  }
}
