import GuestImage

/// A part of an image, which is linked for where it is loaded.
struct SmallSegment {
  var at: UInt64
  /// PF_R 4, PF_W 2, PF_X 1.
  var flags: UInt32
  var contents: [UInt8]
  /// In memory.
  var size: UInt64
}

extension GuestImage {
  /// A 64-bit ELF file of these segments, which starts at the first, with a function of that name in it.
  init(of segments: [SmallSegment], function: (name: String, address: UInt64)? = nil) throws {
    var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
    file += little(UInt16(2)) + little(UInt16(62)) + little(UInt32(1)) + little(segments.first?.at ?? 0)
    file += little(UInt64(64)) + little(UInt64(0)) + little(UInt32(0)) + little(UInt16(64)) + little(UInt16(56))
    file += little(UInt16(segments.count)) + little(UInt16(64)) + little(UInt16(0)) + little(UInt16(0))
    var offset = UInt64(64 + 56 * segments.count)
    for segment in segments {
      let size = UInt64(segment.contents.count)
      file += little(UInt32(1)) + little(segment.flags) + little(offset) + little(segment.at) + little(segment.at)
      file += little(size) + little(segment.size) + little(UInt64(8))
      offset += size
    }
    file += segments.flatMap(\.contents)
    if let function, let segment = segments.first { file.addSections(of: segment, function) }
    try self.init(file)
  }
}

private func little(_ value: some FixedWidthInteger) -> [UInt8] {
  (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

extension [UInt8] {
  /// A section of code, and behind it .symtab and .strtab with one function of a byte.
  fileprivate mutating func addSections(of segment: SmallSegment, _ function: (name: String, address: UInt64)) {
    let names = [0] + Array(function.name.utf8) + [0]
    let symbols =
      [UInt8](repeating: 0, count: 24) + little(UInt32(1)) + [0x12, 0] + little(UInt16(1)) + little(function.address)
      + little(UInt64(1))
    func header(_ type: UInt32, flags: UInt64, at: UInt64, offset: Int, size: Int, link: UInt32) -> [UInt8] {
      little(UInt32(0)) + little(type) + little(flags) + little(at) + little(UInt64(offset)) + little(UInt64(size))
        + little(link) + little(UInt32(1)) + little(UInt64(8)) + little(UInt64(type == 2 ? 24 : 0))
    }
    let offset = count
    let table = offset + symbols.count + names.count
    replaceSubrange(40..<48, with: little(UInt64(table)))
    replaceSubrange(58..<64, with: little(UInt16(64)) + little(UInt16(4)) + little(UInt16(3)))
    self += symbols + names + [UInt8](repeating: 0, count: 64)
    self += header(1, flags: 6, at: segment.at, offset: 120, size: segment.contents.count, link: 0)
    self += header(2, flags: 0, at: 0, offset: offset, size: symbols.count, link: 3)
    self += header(3, flags: 0, at: 0, offset: offset + symbols.count, size: names.count, link: 0)
  }
}
