import Investigation
import X86

/// The line of one range, put together byte by byte: a map can have a million of them.
struct RangeLine {
  private(set) var bytes: [UInt8] = []

  static let titles =
    padded("linear addresses", to: 33) + padded("size", to: 12, onLeft: true) + padded("pages", to: 8, onLeft: true)
    + "  rights  type  physical address"

  mutating func clear() { bytes.removeAll(keepingCapacity: true) }

  /// `0000000040000000-000000007fffffff   1 GiB   1 GiB  rwxs    WB    0x40000000`.
  mutating func append(_ range: MappedRange, _ memoryTypes: PageAttributeTable) {
    append(digits: range.start.rawValue, count: 16)
    append("-")
    append(digits: range.last.rawValue, count: 16)
    appendSize(range.size, width: 12)
    appendSize(range.pageSize, width: 8)
    append("  ")
    let start = bytes.count
    appendRights(range)
    pad(from: start, to: 8)
    let type = bytes.count
    append(memoryTypes.memoryType(at: range.attributes.patIndex))
    pad(from: type, to: 6)
    append("0x")
    append(digits: range.physicalStart.rawValue, count: 1)
    if range.isThroughSelfMap { append("  (tables, through a self-map)") }
    append("\n")
  }

  /// What is not mapped between two ranges, in round numbers.
  mutating func appendHole(_ size: UInt64) {
    pad(from: bytes.count, to: 33)
    let units: [(UInt64, StaticString)] = [
      (60, " EiB"), (50, " PiB"), (40, " TiB"), (30, " GiB"), (20, " MiB"), (10, " KiB"),
    ]
    let (shift, unit) = units.first { size >> $0.0 > 0 } ?? (10, " KiB")
    let start = bytes.count
    append(decimal: size >> shift)
    let tenth = ((size & ((1 << shift) - 1)) >> (shift - 10)) * 10 >> 10
    if tenth > 0 {
      append(".")
      append(decimal: tenth)
    }
    append(unit)
    flushRight(from: start, width: 12)
    append("  not mapped\n")
  }

  /// `rwxuG`: read, write, execute, then `u` for user mode or `s` for the supervisor alone, G, and the protection key.
  mutating func appendRights(_ range: MappedRange) {
    append("r")
    append(range.rights.contains(.write) ? "w" : "-")
    append(range.rights.contains(.execute) ? "x" : "-")
    append(range.rights.contains(.user) ? "u" : "s")
    if range.attributes.isGlobal { append("G") }
    guard range.attributes.protectionKey != 0 else { return }
    append("k")
    append(decimal: UInt64(range.attributes.protectionKey))
  }

  // MARK: Parts

  mutating func append(_ text: StaticString) {
    // A static string stays where the linker put it, `utf8CodeUnitCount` bytes long.
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// The value in hexadecimal, with at least `count` digits.
  mutating func append(digits value: UInt64, count: Int) {
    let needed = max(count, (67 - value.leadingZeroBitCount) / 4)
    for position in stride(from: needed - 1, through: 0, by: -1) {
      let digit = UInt8(truncatingIfNeeded: value >> (4 * UInt64(position)) & 0xF)
      bytes.append(digit < 10 ? 48 + digit : 87 + digit)
    }
  }

  mutating func append(decimal value: UInt64) {
    if value >= 10 { append(decimal: value / 10) }
    bytes.append(48 + UInt8(truncatingIfNeeded: value % 10))
  }

  /// A size in the largest unit that divides it, as ``Investigation/sizeInWords(_:)`` says it, flush right.
  private mutating func appendSize(_ size: UInt64, width: Int) {
    let start = bytes.count
    let (shift, unit): (UInt64, StaticString) =
      switch size.trailingZeroBitCount {
      case 50...: (50, " PiB")
      case 40...: (40, " TiB")
      case 30...: (30, " GiB")
      case 20...: (20, " MiB")
      default: (10, " KiB")
      }
    append(decimal: size >> shift)
    append(unit)
    flushRight(from: start, width: width)
  }

  private mutating func flushRight(from start: Int, width: Int) {
    let missing = width - (bytes.count - start)
    if missing > 0 { bytes.insert(contentsOf: repeatElement(32, count: missing), at: start) }
  }

  private mutating func pad(from start: Int, to width: Int) {
    for _ in 0..<max(0, width - (bytes.count - start)) { bytes.append(32) }
  }
}
