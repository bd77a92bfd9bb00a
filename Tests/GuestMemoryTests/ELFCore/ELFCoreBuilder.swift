import FileBuilding

/// An ELF core in the making, laid out as QEMU does.
struct ELFCoreBuilder {
  struct Segment {
    var address: UInt64
    var contents: [UInt8]
    /// In memory, where it differs from that in the file.
    var memorySize: UInt64?
    /// In the file, where it is not that of the contents.
    var offset: UInt64?
  }

  var is64 = true
  var machine: UInt16 = 62
  var type: UInt16 = 4
  var notes = NoteBuilder()
  var segments: [Segment] = []
  /// Whether the number of program headers is in a section header, as for more than 65534.
  var hasSection = false
  /// Where the parts of the file begin, after `build`.
  private(set) var boundaries: [Int] = []

  init(is64: Bool = true) { self.is64 = is64 }

  mutating func add(_ address: UInt64, _ contents: [UInt8], memorySize: UInt64? = nil) {
    segments.append(Segment(address: address, contents: contents, memorySize: memorySize))
  }

  mutating func build() -> [UInt8] {
    let headSize = is64 ? 64 : 52
    let segmentSize = is64 ? 56 : 32
    let sectionSize = hasSection ? (is64 ? 64 : 40) : 0
    let count = segments.count + 1
    let notesOffset = headSize + sectionSize + count * segmentSize
    var file = ByteBuilder()
    file.bytes = [0x7F, 0x45, 0x4C, 0x46, is64 ? 2 : 1, 1, 1] + [UInt8](repeating: 0, count: 9)
    file.integer(type)
    file.integer(machine)
    file.integer(UInt32(1))
    file.word(0, is64)
    file.word(UInt64(headSize + sectionSize), is64)
    file.word(hasSection ? UInt64(headSize) : 0, is64)
    file.integer(UInt32(0))
    // QEMU 7.2 gives the size of a pointer for that of the head.
    file.integer(UInt16(8))
    file.integer(UInt16(segmentSize))
    file.integer(hasSection ? UInt16(0xFFFF) : UInt16(count))
    file.integer(UInt16(sectionSize))
    file.integer(UInt16(hasSection ? 1 : 0))
    file.integer(UInt16(0))
    boundaries = [4, 16, 20, file.bytes.count]
    if hasSection {
      file.bytes += [UInt8](repeating: 0, count: is64 ? 44 : 28)
      file.integer(UInt32(count))
      file.bytes += [UInt8](repeating: 0, count: is64 ? 16 : 8)
      boundaries.append(file.bytes.count)
    }
    var offset = notesOffset + notes.bytes.count
    file.segment(4, UInt64(notesOffset), 0, UInt64(notes.bytes.count), UInt64(notes.bytes.count), is64)
    for segment in segments {
      let size = UInt64(segment.contents.count)
      file.segment(
        1, segment.offset ?? UInt64(offset), segment.address, size, segment.memorySize ?? size, is64)
      if segment.offset == nil { offset += segment.contents.count }
      if boundaries.count < 100 { boundaries.append(file.bytes.count) }
    }
    boundaries += [notesOffset, notesOffset + notes.bytes.count]
    file.bytes += notes.bytes
    for segment in segments where segment.offset == nil {
      file.bytes += segment.contents
      if boundaries.count < 100 { boundaries.append(file.bytes.count) }
    }
    return file.bytes
  }
}

extension ByteBuilder {
  fileprivate mutating func word(_ value: UInt64, _ is64: Bool) {
    if is64 { integer(value) } else { integer(UInt32(truncatingIfNeeded: value)) }
  }

  fileprivate mutating func segment(
    _ type: UInt32, _ offset: UInt64, _ address: UInt64, _ fileSize: UInt64, _ memorySize: UInt64, _ is64: Bool
  ) {
    integer(type)
    if is64 { integer(UInt32(0)) }
    word(offset, is64)
    word(0xFFFF_8000_0000_0000 &+ address, is64)
    word(address, is64)
    word(fileSize, is64)
    word(memorySize, is64)
    if !is64 { integer(UInt32(0)) }
    word(0, is64)
  }
}
