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
  /// A 64-bit ELF file of these segments, which starts at the first.
  init(of segments: [SmallSegment]) throws {
    func little(_ value: some FixedWidthInteger) -> [UInt8] {
      (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
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
    try self.init(file + segments.flatMap(\.contents))
  }
}
