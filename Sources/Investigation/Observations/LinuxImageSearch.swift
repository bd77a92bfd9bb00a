import X86

/// A search through the memory in which a Linux kernel has its image, static data among it.
struct LinuxImageSearch {
  /// The image is mapped in such pages, or in smaller ones side by side.
  private static let blockSize: UInt64 = 2 << 20
  /// More than any kernel's image takes.
  private static let mostBlocks = 64

  private let blocks: [UInt64]
  /// What is searched is not noted by memory that notes what is read.
  private let memory: any PhysicalMemory

  /// Nil where the processor executes elsewhere: it is no Linux, or does not show where its image is.
  init?(of state: ProcessorState, by paging: Paging, in memory: any PhysicalMemory) {
    guard let addresses = Self.imageAddresses(state) else { return nil }
    self.memory = (memory as? any NotingMemory)?.plain ?? memory
    blocks = Self.blocks(of: addresses, by: paging, in: self.memory)
  }

  /// Where kernels of a mode have their image (Documentation/x86/x86_64/mm.rst, 6.1; of 32 bits, what lies at PAGE_OFFSET). A module of 64 bits lies
  /// above the image, at ffffffffc0000000.
  private static func imageAddresses(_ state: ProcessorState) -> Range<UInt64>? {
    let pointer = state.instructionAddress.rawValue
    if state.mode == .long64 {
      guard (0xFFFF_FFFF_8000_0000..<0xFFFF_FFFF_FF00_0000).contains(pointer) else { return nil }
      return 0xFFFF_FFFF_8000_0000..<0xFFFF_FFFF_C000_0000
    }
    let range: Range<UInt64> = 0xC000_0000..<0xF800_0000
    guard range.contains(pointer) else { return nil }
    // With KASLR a kernel of 32 bits lies anywhere in the memory that is mapped there, and is smaller than half of what is searched.
    let start = pointer / blockSize * blockSize &- UInt64(mostBlocks / 2) * blockSize
    return max(start, range.lowerBound)..<range.upperBound
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

  /// Calls `body` with each place of one of `texts`: which one, its address, the byte before it (0 where there is none), and what follows it within
  /// its block.
  func forEach(
    of texts: [[UInt8]], _ body: (_ text: Int, _ address: UInt64, _ before: UInt8, _ behind: ArraySlice<UInt8>) -> Void
  ) {
    for block in blocks {
      let bytes = bytes(of: block)
      for (index, text) in texts.enumerated() {
        Self.forEach(of: text, in: bytes) { start in
          body(index, block + UInt64(start), start > 0 ? bytes[start - 1] : 0, bytes[(start + text.count)...])
        }
      }
    }
  }

  /// A block's bytes; zeroes for what cannot be read of it.
  private func bytes(of block: UInt64) -> [UInt8] {
    if let whole = try? memory.bytes(at: PhysicalAddress(block), count: Int(Self.blockSize)) { return whole }
    var bytes: [UInt8] = []
    for page in stride(from: block, to: block + Self.blockSize, by: 0x1000) {
      bytes += (try? memory.bytes(at: PhysicalAddress(page), count: 0x1000)) ?? [UInt8](repeating: 0, count: 0x1000)
    }
    return bytes
  }

  /// A search that skips as far as the last byte of the window allows (Horspool).
  private static func forEach(of text: [UInt8], in bytes: [UInt8], _ body: (Int) -> Void) {
    var skips = [Int](repeating: text.count, count: 256)
    for (index, byte) in text.dropLast().enumerated() { skips[Int(byte)] = text.count - 1 - index }
    let last = text.count - 1
    var start = 0
    while start + text.count < bytes.count {
      let end = bytes[start + last]
      if end == text[last], bytes[start..<start + text.count].elementsEqual(text) { body(start) }
      start += skips[Int(end)]
    }
  }
}
