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
  /// What registers hold in a block of code, as far as it loads them with constants.
  private struct Constants {
    private var values: [Int: UInt64] = [:]

    subscript(number: Int) -> UInt64? { values[number] }

    mutating func take(_ instruction: Instruction) {
      let target = instruction.operands.first
      let constant = target.flatMap { _ in Self.constant(of: instruction) }
      for operand in instruction.operands where operand.isWrite {
        if case .register(let register) = operand.value { forget(register) }
      }
      if case .register(.general(let number, let bits))? = target?.value, bits >= 32, let constant {
        values[number] = bits == 32 ? constant & 0xFFFF_FFFF : constant
      }
    }

    private mutating func forget(_ register: Register) {
      switch register {
      case .general(let number, _), .highByte(let number): values[number] = nil
      default: break
      }
    }

    /// What MOV, LEA with RIP, or XOR of a register with itself puts into its first operand.
    private static func constant(of instruction: Instruction) -> UInt64? {
      guard instruction.operands.count >= 2 else { return nil }
      let source = instruction.operands[1]
      switch (instruction.mnemonic, source.value) {
      case ("mov", .immediate(let value)): return value
      case ("xor", _): return source.value == instruction.operands[0].value ? 0 : nil
      case ("lea", .memory(let reference)):
        guard case .instructionPointer? = reference.base, reference.index == nil else { return nil }
        return instruction.address &+ UInt64(instruction.length) &+ UInt64(bitPattern: reference.displacement)
      default: return nil
      }
    }
  }

  /// The copies of one listing, in its order: upward, as with RFLAGS.DF clear.
  fileprivate static func all(in listing: CodeListing, _ state: ProcessorState) -> [Self] {
    var constants = Constants()
    var copies: [Self] = []
    for line in listing.lines {
      guard let instruction = try? Instruction.decode(line.bytes, at: line.address, mode: state.mode) else { continue }
      if instruction.isRepeatedStore, let start = constants[7], let count = constants[1] {
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
