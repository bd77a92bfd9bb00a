/// Instructions as a disassembler lists them, objdump or QEMU's in_asm: addresses and bytes.
public struct CodeListing: Hashable, Sendable {
  /// One line: an instruction's address and bytes.
  public struct Line: Hashable, Sendable {
    public var address: UInt64
    public var bytes: [UInt8]

    public init(address: UInt64, bytes: [UInt8]) { (self.address, self.bytes) = (address, bytes) }
  }

  /// In the order of the text; addresses rise.
  public var lines: [Line]
  /// Whether QEMU listed it (`-d in_asm`, or an opcode that TCG does not know): then it is what the guest was about to execute, at the linear
  /// addresses that it has there.
  public var isOfGuest: Bool

  public init(lines: [Line], isOfGuest: Bool = false) { (self.lines, self.isOfGuest) = (lines, isOfGuest) }

  /// An instruction has at most 15 bytes; objdump goes on in the next line after 7.
  private static let mostBytes = 15
  /// Where QEMU has no disassembler, a whole block stands in one line.
  private static let mostBytesOfBlock = 4096
  /// How many lines are kept.
  private static let mostLines = 4096

  /// A line that begins a listing.
  init?(_ line: LogLine) {
    guard let first = Self.instruction(line) else { return nil }
    lines = [first]
    var scanner = LineScanner(line.bytes)
    isOfGuest = scanner.skip("0x") || scanner.skip(past: "ILLOPC: ")
  }

  /// Takes one more line; false where it does not go on with the listing.
  mutating func take(_ line: LogLine) -> Bool {
    guard lines.count < Self.mostLines, let next = Self.instruction(line), let last = lines.last,
      next.address > last.address, next.address &- last.address <= 64
    else { return false }
    lines.append(next)
    return true
  }

  /// `  133025:<TAB>66 c7 05 00 80 0b 00 ...`, `0x000000000000c2e4:  c4 e2 e9 ...`, `ILLOPC: 000000000000c2e4: c4 e2 e9`
  /// (QEMU target/i386/tcg/translate.c: gen_unknown_opcode, 7.2), `0x0000c2e4:  OBJD-T: c4e2e9...` (disas.c: target_disas and
  /// print_insn_objdump, 7.2, built without capstone).
  private static func instruction(_ line: LogLine) -> Line? {
    var scanner = LineScanner(line.bytes)
    _ = scanner.skip(past: "ILLOPC: ")
    _ = scanner.skip("0x")
    guard let address = scanner.hex(), address.digits >= 4, scanner.skip(":") else { return nil }
    scanner.skipBlanks()
    if scanner.skip("OBJD-T: ") {
      let bytes = block(&scanner)
      return bytes.isEmpty ? nil : Line(address: address.value, bytes: bytes)
    }
    var bytes: [UInt8] = []
    while bytes.count < mostBytes, let byte = scanner.hex(), byte.digits == 2 {
      bytes.append(UInt8(truncatingIfNeeded: byte.value))
      guard scanner.skip(" ") else { break }
    }
    return bytes.isEmpty ? nil : Line(address: address.value, bytes: bytes)
  }

  /// Digits without blanks between them.
  private static func block(_ scanner: inout LineScanner) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < mostBytesOfBlock, let high = scanner.rest.first.flatMap(Byte.hexDigit) {
      scanner.skipByte()
      guard let low = scanner.rest.first.flatMap(Byte.hexDigit) else { break }
      scanner.skipByte()
      bytes.append(high << 4 | low)
    }
    return bytes
  }
}

extension CodeListing {
  /// The bytes from `address` on, and those right before it, as far as the lines are without gaps.
  public func bytes(around address: UInt64) -> (before: [UInt8], from: [UInt8])? {
    guard let index = lines.firstIndex(where: { $0.address == address }) else { return inside(address) }
    var from: [UInt8] = []
    var next = address
    for line in lines[index...] {
      guard line.address == next else { break }
      from += line.bytes
      next = line.address &+ UInt64(line.bytes.count)
    }
    var before: [UInt8] = []
    var end = address
    for line in lines[..<index].reversed() {
      guard line.address &+ UInt64(line.bytes.count) == end else { break }
      before = line.bytes + before
      end = line.address
    }
    return (before, from)
  }

  /// The bytes that end right before `address`, as far as the lines are without gaps; empty where none do.
  public func bytes(before address: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var end = address
    while let line = lines.last(where: { $0.address &+ UInt64($0.bytes.count) == end && $0.address < end }) {
      bytes = line.bytes + bytes
      end = line.address
    }
    return bytes
  }

  /// The bytes around an address in the middle of a line that holds a whole block.
  private func inside(_ address: UInt64) -> (before: [UInt8], from: [UInt8])? {
    guard
      let line = lines.first(where: {
        $0.bytes.count > Self.mostBytes && address &- $0.address < UInt64($0.bytes.count)
      })
    else { return nil }
    let offset = Int(address &- line.address)
    return (Array(line.bytes[..<offset]), Array(line.bytes[offset...]))
  }
}
