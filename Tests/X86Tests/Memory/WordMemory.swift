import X86

/// Physical memory of 64-bit words at aligned addresses; all else is missing for one reason.
struct WordMemory: PhysicalMemory {
  var words: [UInt64: UInt64] = [:]
  var missing = UnavailableMemory.Reason.notCaptured

  subscript(address: UInt64) -> UInt64? {
    get { words[address] }
    set { words[address] = newValue }
  }

  func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    var word: UInt64 = 0
    for offset in buffer.indices {
      let byteAddress = address.rawValue &+ UInt64(offset)
      if offset == 0 || byteAddress & 7 == 0 {
        guard let next = words[byteAddress & ~7] else {
          throw UnavailableMemory(address: PhysicalAddress(byteAddress), reason: missing)
        }
        word = next
      }
      buffer[offset] = UInt8(truncatingIfNeeded: word >> (8 * (byteAddress & 7)))
    }
  }
}
