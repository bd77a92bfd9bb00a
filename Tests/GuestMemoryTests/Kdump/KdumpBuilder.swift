import CLZO
import CSnappy
import CZlib
import FileBuilding
import Files
import GuestMemory
import Testing

/// A kdump in the making, by the same compressors as those of QEMU and makedumpfile.
struct KdumpBuilder: CustomTestStringConvertible {
  var is64 = true
  var version: UInt32 = 6
  var compression: KdumpCompression?
  var isFlattened = false
  var machine = "x86_64"
  var status: UInt32 = 0
  var blockSize: UInt32 = 4096
  var notes = NoteBuilder()
  /// By number; each 4096 bytes long.
  var pages: [UInt64: [UInt8]] = [:]
  /// Pages that the bitmap has and whose descriptor is all zeros, as if never written.
  var unwritten: Set<UInt64> = []
  /// max_mapnr; nil for that of the highest page.
  var pageCount: UInt64?
  /// The pages of this file, if it is one of several.
  var part: Range<UInt64>?
  /// At most so many bytes are in a record.
  var recordSize = 4096
  /// Where the parts of the file begin, after `build`; of the plain one, also where it is flattened.
  private(set) var boundaries: [Int] = []

  var testDescription: String {
    "\(is64 ? 64 : 32) bits, version \(version), \(compression?.rawValue ?? "plain")\(isFlattened ? ", flattened" : "")"
  }

  static let all: [KdumpBuilder] = {
    let compressions: [KdumpCompression?] = [nil, .zlib, .lzo, .snappy, .zstd]
    var all: [KdumpBuilder] = []
    for compression in compressions {
      for (is64, isFlattened) in [(true, true), (true, false), (false, true), (false, false)] {
        var builder = KdumpBuilder()
        builder.is64 = is64
        builder.isFlattened = isFlattened
        builder.compression = compression
        all.append(builder)
      }
    }
    return all
  }()

  mutating func build() throws -> [UInt8] {
    let plain = try plain()
    return isFlattened ? flattened(plain) : plain
  }

  private mutating func plain() throws -> [UInt8] {
    let numbers = Set(pages.keys).union(unwritten).sorted()
    let count = pageCount ?? (numbers.last ?? 0) + 1
    let bitmapBlocks = Int(count / 8 / 4096 + 1)
    let notesOffset = 4096 + 104
    let subBlocks = (104 + notes.bytes.count + 4095) / 4096
    var file = head(count, subBlocks: subBlocks, bitmapBlocks: bitmapBlocks * 2)
    boundaries = [8, 272, file.bytes.count]
    file.pad(to: 4096)
    boundaries.append(file.bytes.count)
    subHead(&file, count, notesOffset)
    boundaries.append(file.bytes.count)
    file.bytes += [UInt8](repeating: 0, count: notesOffset - file.bytes.count) + notes.bytes
    file.pad(to: 4096)
    // The first bitmap has all pages that exist, the second those that are in the dump.
    let existing = [UInt8](repeating: 0xFF, count: bitmapBlocks * 4096)
    var dumped = [UInt8](repeating: 0, count: bitmapBlocks * 4096)
    for number in numbers { dumped[Int(number / 8)] |= 1 << (number % 8) }
    file.bytes += existing + dumped
    boundaries.append(file.bytes.count)
    let here = numbers.filter { part?.contains($0) ?? true }
    var data: [UInt8] = []
    let dataOffset = file.bytes.count + here.count * 24
    for number in here {
      guard let page = pages[number] else {
        file.bytes += [UInt8](repeating: 0, count: 24)
        continue
      }
      let (bytes, flags) = try compressed(page)
      file.integer(UInt64(dataOffset + data.count))
      file.integer(UInt32(bytes.count))
      file.integer(flags)
      file.integer(UInt64(0))
      data += bytes
    }
    boundaries.append(file.bytes.count)
    file.bytes += data
    return file.bytes
  }

  private func head(_ count: UInt64, subBlocks: Int, bitmapBlocks: Int) -> ByteBuilder {
    var file = ByteBuilder()
    file.text("KDUMP   ")
    file.integer(version)
    file.bytes += [UInt8](repeating: 0, count: 4 * 65)
    file.string(machine)
    file.bytes += [UInt8](repeating: 0, count: (is64 ? 424 : 412) - file.bytes.count)
    file.integer(status | flags(compression))
    file.integer(blockSize)
    file.integer(UInt32(subBlocks))
    file.integer(UInt32(bitmapBlocks))
    file.integer(version >= 6 ? 0 : UInt32(count))
    for _ in 0..<5 { file.integer(UInt32(1)) }
    return file
  }

  private func subHead(_ file: inout ByteBuilder, _ count: UInt64, _ notesOffset: Int) {
    func word(_ value: UInt64) {
      if is64 { file.integer(value) } else { file.integer(UInt32(truncatingIfNeeded: value)) }
    }
    word(0)
    file.integer(UInt32(0))
    file.integer(UInt32(part == nil ? 0 : 1))
    word(version >= 6 ? 0 : part?.lowerBound ?? 0)
    word(version >= 6 ? 0 : part?.upperBound ?? 0)
    file.integer(UInt64(0))
    word(0)
    file.integer(UInt64(notesOffset))
    word(UInt64(notes.bytes.count))
    file.integer(UInt64(0))
    word(0)
    guard version >= 6 else { return }
    file.integer(part?.lowerBound ?? 0)
    file.integer(part?.upperBound ?? 0)
    file.integer(count)
  }

  private func flags(_ compression: KdumpCompression?) -> UInt32 {
    switch compression {
    case nil: 0
    case .zlib: 1
    case .lzo: 2
    case .snappy: 4
    case .zstd: 0x20
    }
  }

  private func compressed(_ page: [UInt8]) throws -> ([UInt8], flags: UInt32) {
    guard let compression else { return (page, 0) }
    let bytes = try Self.compress(page, compression)
    return bytes.count < page.count ? (bytes, flags(compression)) : (page, 0)
  }

  private static func compress(_ page: [UInt8], _ compression: KdumpCompression) throws -> [UInt8] {
    switch compression {
    case .zlib:
      var count = compressBound(UInt(page.count))
      var output = [UInt8](repeating: 0, count: Int(count))
      unsafe compress2(&output, &count, page, UInt(page.count), 1)
      return Array(output[..<Int(count)])
    case .lzo:
      var output = [UInt8](repeating: 0, count: page.count + page.count / 16 + 67)
      var count = UInt(output.count)
      // LZO1X_1_MEM_COMPRESS: 16384 pointers.
      var work = [UInt8](repeating: 0, count: 16384 * 8)
      unsafe lzo1x_1_compress(page, UInt(page.count), &output, &count, &work)
      return Array(output[..<Int(count)])
    case .snappy:
      var output = [CChar](repeating: 0, count: snappy_max_compressed_length(page.count))
      var count = output.count
      unsafe snappy_compress(page.map { CChar(bitPattern: $0) }, page.count, &output, &count)
      return output[..<count].map { UInt8(bitPattern: $0) }
    case .zstd: return try ZstdEncoder().encode(unsafe page.span.bytes)
    }
  }

  /// Records in the order of the file, but for the data, which comes before the descriptors.
  private func flattened(_ plain: [UInt8]) -> [UInt8] {
    var file = ByteBuilder(.bigEndian)
    file.text("makedumpfile")
    file.bytes += [0, 0, 0, 0]
    file.integer(UInt64(1))
    file.integer(UInt64(1))
    file.pad(to: 4096)
    let descriptors = boundaries[boundaries.count - 2]
    let data = boundaries[boundaries.count - 1]
    for part in [0..<descriptors, data..<plain.count, descriptors..<data] {
      for start in stride(from: part.lowerBound, to: part.upperBound, by: recordSize) {
        let end = min(start + recordSize, part.upperBound)
        // What is never written of the first head and the descriptors is zero.
        if start < 4096 || part.lowerBound == descriptors, plain[start..<end].allSatisfy({ $0 == 0 }) { continue }
        file.record(start, Array(plain[start..<end]))
      }
    }
    file.integer(UInt64.max)
    file.integer(UInt64.max)
    return file.bytes
  }
}

extension ByteBuilder {
  /// A record of a flattened file.
  mutating func record(_ offset: Int, _ contents: [UInt8]) {
    integer(UInt64(offset))
    integer(UInt64(contents.count))
    bytes += contents
  }
}
