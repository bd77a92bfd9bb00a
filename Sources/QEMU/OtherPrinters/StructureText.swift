/// The values of structures as Rust's `{:?}` and `{:#?}` print them: `kvm_sregs { cs: kvm_segment { base: 0, limit: 65535, … } }`.
struct StructureText {
  /// Each number, by the names that lead to it (`cs.base`), in the order of the text.
  private(set) var values: [(path: String, value: UInt64)] = []
  private var path: [String] = []
  private var name = ""
  private(set) var depth = 0

  /// More levels are no registers.
  private static let mostLevels = 8
  private static let mostValues = 256
  /// Each structure of a line of its own for each member, as `{:#?}` prints kvm_sregs, has fewer.
  private static let mostLines = 256
  private var lines = 0

  /// Whether so much was read without an end that it is cut off, or none.
  var isEndless: Bool { lines > Self.mostLines || values.count >= Self.mostValues }

  /// Reads on. Each word is a name, or the number that belongs to the last.
  mutating func read(_ bytes: ArraySlice<UInt8>) {
    lines += 1
    var index = bytes.startIndex
    while index < bytes.endIndex, values.count < Self.mostValues {
      let byte = bytes[index]
      guard !Byte.isWord(byte) else {
        let end = bytes[index...].firstIndex { !Byte.isWord($0) } ?? bytes.endIndex
        take(String(decoding: bytes[index..<end], as: UTF8.self))
        index = end
        continue
      }
      switch byte {
      case UInt8(ascii: "{"):
        depth += 1
        if depth > 1, path.count < Self.mostLevels { path.append(name) }
      case UInt8(ascii: "}"):
        if depth > 1, !path.isEmpty { path.removeLast() }
        depth = max(depth - 1, 0)
      default: break
      }
      index += 1
    }
  }

  private mutating func take(_ word: String) {
    if word.hasPrefix("Ring"), let ring = UInt64(word.dropFirst(4)), depth > 0 {
      return values.append(((path + [name]).joined(separator: "."), ring))
    }
    guard let first = word.utf8.first, Byte.isDigit(first) else {
      // The type of a value stands behind its name.
      if word.utf8.first != UInt8(ascii: "k") || !word.hasPrefix("kvm_") {
        if !Self.types.contains(word) { name = word }
      }
      return
    }
    let value =
      word.hasPrefix("0x") ? UInt64(word.dropFirst(2).filter { $0 != "_" }, radix: 16) : UInt64(word)
    guard let value, depth > 0 else { return }
    values.append(((path + [name]).joined(separator: "."), value))
  }

  private static let types: Set<String> = ["VirtAddr", "SegmentSelector", "RFlags"]
}
