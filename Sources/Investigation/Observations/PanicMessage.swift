import QEMU
import X86

/// What a Linux kernel that panicked left in its log, somewhere in the guest's memory.
///
/// `panic()` begins its message with these words (Linux kernel/panic.c, 2.4 to 6.19). The format itself is in every kernel's
/// memory, with a `%` behind them.
enum PanicMessage {
  private static let prefix = Array("Kernel panic - not syncing: ".utf8)
  /// How much memory is searched, from its beginning.
  private static let mostBytes: UInt64 = 8 << 30
  private static let chunk: UInt64 = 1 << 20
  private static let longestMessage = 160

  /// The shortest of the messages in the guest's RAM: there are several copies, and some have the end of another text behind.
  static func find(in memory: some PhysicalMemory, map: MemoryMap) -> (text: String, address: PhysicalAddress)? {
    var best: (text: String, address: PhysicalAddress)?
    var searched: UInt64 = 0
    var buffer = [UInt8](repeating: 0, count: Int(chunk))
    for range in map.ranges where range.kind == .ram {
      var address = range.first.rawValue
      // Chunks overlap by what a message may be long.
      while address < range.last.rawValue, searched < mostBytes {
        let count = min(chunk, range.last.rawValue - address + 1)
        if buffer.count != Int(count) { buffer = [UInt8](repeating: 0, count: Int(count)) }
        var span = buffer.mutableSpan
        if (try? memory.read(PhysicalAddress(address), into: &span)) != nil {
          for (offset, text) in messages(in: buffer) where text.utf8.count < best?.text.utf8.count ?? .max {
            best = (text, PhysicalAddress(address + UInt64(offset)))
          }
        }
        searched += count
        guard count == chunk else { break }
        address += chunk - UInt64(prefix.count + longestMessage)
      }
    }
    return best
  }

  /// A search that skips as far as the last byte of the window allows (Horspool).
  private static func messages(in bytes: [UInt8]) -> [(Int, String)] {
    var found: [(Int, String)] = []
    var skips = [Int](repeating: prefix.count, count: 256)
    for (index, byte) in prefix.dropLast().enumerated() { skips[Int(byte)] = prefix.count - 1 - index }
    let last = prefix.count - 1
    var start = 0
    while start + prefix.count < bytes.count {
      let end = bytes[start + last]
      if end == prefix[last], bytes[start..<start + prefix.count].elementsEqual(prefix),
        let text = text(bytes[(start + prefix.count)...])
      {
        found.append((start, text))
      }
      start += skips[Int(end)]
    }
    return found
  }

  /// The message up to the end of its line; nil where it is a format, or no text.
  private static func text(_ bytes: ArraySlice<UInt8>) -> String? {
    let line = bytes.prefix(longestMessage).prefix { (0x20...0x7E).contains($0) }
    guard let first = line.first, first != UInt8(ascii: "%"), line.count > 3 else { return nil }
    let text = String(decoding: line, as: UTF8.self)
    return text.hasSuffix(" ]---") ? String(text.dropLast(5)) : text
  }
}

extension Scene {
  /// The message of a Linux that panicked, of a guest that ended without a fault or stands still.
  var panicMessage: Evidence? {
    switch ending {
    case .reset, .panicked, .timedOut, .paused: break
    default: return nil
    }
    guard let memory, let memoryMap, let found = PanicMessage.find(in: memory, map: memoryMap) else { return nil }
    return Evidence(
      "The memory at physical \(found.address.rawValue.hexadecimal) holds the message of a Linux kernel that panicked: \"\(found.text)\"",
      .guestMemory)
  }
}
