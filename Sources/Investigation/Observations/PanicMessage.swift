import QEMU
import X86

/// What a Linux kernel that panicked left in its log, somewhere in its own image: the log's first buffer is a static one
/// (kernel/printk/printk.c: __log_buf, 3.5 to 6.19).
///
/// `panic()` begins its message with these words (Linux kernel/panic.c, 2.4 to 6.19). The format itself is in every kernel's
/// memory, with a `%` behind them.
enum PanicMessage {
  private static let prefix = Array("Kernel panic - not syncing: ".utf8)
  private static let longestMessage = 160
  /// The image is mapped in such pages, or in smaller ones side by side.
  private static let blockSize: UInt64 = 2 << 20
  /// More than any kernel's image takes.
  private static let mostBlocks = 64

  /// Where kernels of a mode have their image (Documentation/x86/x86_64/mm.rst, 6.1; of 32 bits, what lies at PAGE_OFFSET).
  private static func imageAddresses(_ state: ProcessorState) -> Range<UInt64>? {
    let range: Range<UInt64> =
      state.mode == .long64 ? 0xFFFF_FFFF_8000_0000..<0xFFFF_FFFF_C000_0000 : 0xC000_0000..<0xF800_0000
    let pointer = state.instructionAddress.rawValue
    guard range.contains(pointer) else { return nil }
    // With KASLR a kernel of 32 bits lies anywhere in the memory that is mapped there, and is smaller than half of what is searched.
    let start = pointer / blockSize * blockSize &- UInt64(mostBlocks / 2) * blockSize
    return state.mode == .long64 ? range : max(start, range.lowerBound)..<range.upperBound
  }

  /// The shortest of the messages in the image: there are several copies, and some have the end of another text behind.
  ///
  /// What is searched is not noted by memory that notes what is read, but what is found.
  static func find(
    of state: ProcessorState, by paging: Paging, in memory: any PhysicalMemory
  ) -> (text: String, address: PhysicalAddress)? {
    guard let addresses = imageAddresses(state) else { return nil }
    let searched = (memory as? any NotingMemory)?.plain ?? memory
    var best: (text: String, address: PhysicalAddress)?
    for block in blocks(of: addresses, by: paging, in: searched) {
      for (offset, text) in messages(in: bytes(of: block, in: searched))
      where text.utf8.count < best?.text.utf8.count ?? .max {
        best = (text, PhysicalAddress(block + UInt64(offset)))
      }
    }
    if let best { _ = try? memory.bytes(at: best.address, count: prefix.count + longestMessage) }
    return best
  }

  /// The physical addresses of the blocks that are mapped there, each once.
  private static func blocks(
    of addresses: Range<UInt64>, by paging: Paging, in memory: any PhysicalMemory
  ) -> [UInt64] {
    var blocks: [UInt64] = []
    for address in stride(from: addresses.lowerBound, to: addresses.upperBound, by: Int(blockSize)) {
      // Of a block that is mapped in small pages the first need not be.
      let walks = [0, blockSize / 2, blockSize - 0x1000].lazy.map {
        paging.walk(LinearAddress(address + $0), for: PageAccess(.read, by: .supervisor), in: memory)
      }
      guard let physical = walks.compactMap(\.outcome.physicalAddress).first else { continue }
      let block = physical.rawValue / blockSize * blockSize
      if !blocks.contains(block) { blocks.append(block) }
      if blocks.count == mostBlocks { break }
    }
    return blocks
  }

  /// A block's bytes; zeroes for what cannot be read of it.
  private static func bytes(of block: UInt64, in memory: any PhysicalMemory) -> [UInt8] {
    if let whole = try? memory.bytes(at: PhysicalAddress(block), count: Int(blockSize)) { return whole }
    var bytes: [UInt8] = []
    for page in stride(from: block, to: block + blockSize, by: 0x1000) {
      bytes += (try? memory.bytes(at: PhysicalAddress(page), count: 0x1000)) ?? [UInt8](repeating: 0, count: 0x1000)
    }
    return bytes
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
        let text = text(bytes[(start + prefix.count)...], isRecord: start > 0 && bytes[start - 1] == 0)
      {
        found.append((start, text))
      }
      start += skips[Int(end)]
    }
    return found
  }

  /// The message up to the end of its line; nil where it is a format, or no text.
  ///
  /// In a record of the log (since 5.10) the two bytes of KERN_EMERG were moved over, and the newline was not counted: behind the text are
  /// its last two characters again, and that newline (kernel/printk/printk.c: printk_sprint, 6.1; seen of Debian's).
  ///
  /// - Parameter isRecord: Whether the text begins a record, behind its number, rather than standing in a line that was printed.
  private static func text(_ bytes: ArraySlice<UInt8>, isRecord: Bool) -> String? {
    var line = bytes.prefix(longestMessage).prefix { (0x20...0x7E).contains($0) }
    let isRepeated = line.count > 4 && line.suffix(2) == line.dropLast(2).suffix(2)
    if isRecord, isRepeated, line.endIndex < bytes.endIndex, bytes[line.endIndex] == 0x0A { line = line.dropLast(2) }
    guard let first = line.first, first != UInt8(ascii: "%"), line.count > 3 else { return nil }
    let text = String(decoding: line, as: UTF8.self)
    return text.hasSuffix(" ]---") ? String(text.dropLast(5)) : text
  }
}

extension Scene {
  /// The message of a Linux that panicked, of a guest that ended without a fault or stands still.
  var panicMessage: Evidence? {
    switch ending {
    case .reset, .panicked, .timedOut, .paused, .stalled, .stopped: break
    default: return nil
    }
    guard let memory else { return nil }
    let found = processors.lazy.compactMap { processor -> (text: String, address: PhysicalAddress)? in
      let rules = rules(of: walker, for: processor.state)
      guard let paging = Paging(processor.state, rules: rules) else { return nil }
      return PanicMessage.find(of: processor.state, by: paging, in: memory)
    }.first
    guard let found else { return nil }
    return Evidence(
      "The memory at physical \(found.address.rawValue.hexadecimal) holds the message of a Linux kernel that panicked: \"\(found.text)\"",
      .guestMemory)
  }
}
