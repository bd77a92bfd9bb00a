// What of inlined.elf is Swift and DWARF 4: a method inlined into one that is inlined into a function.
struct Table {
  var base: UInt

  @inline(__always) func store(_ entry: UInt64, at index: Int) {
    UnsafeMutablePointer<UInt64>(bitPattern: base)?[index] = entry
  }

  @inline(__always) func fill(from first: Int) {
    store(0x83, at: first)
  }
}

@_cdecl("map_memory") @inline(never)
public func mapMemory(base: UInt) {
  Table(base: base).fill(from: 3)
}
