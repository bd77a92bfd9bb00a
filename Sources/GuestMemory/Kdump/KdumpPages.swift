import Files

/// The pages of a kdump, each found through its descriptor when it is asked for.
struct KdumpPages: Sendable {
  let file: DumpFile
  let bitmap: PageBitmap
  private let descriptorsOffset: UInt64

  init(_ header: KdumpHeader, in file: DumpFile) throws(FileError) {
    self.file = file
    bitmap = try PageBitmap(header, in: file)
    descriptorsOffset = header.descriptorsOffset
  }

  /// Gives the contents of a page to `body`.
  ///
  /// - Parameters:
  ///   - page: by number.
  ///   - decoder: used by nobody else meanwhile.
  /// - Returns: False if the dump does not hold the page.
  func withContents(
    of page: UInt64, decoder: PageDecoder, _ body: (RawSpan) -> Void
  ) throws(FileError) -> Bool {
    guard let rank = try bitmap.rank(of: page) else { return false }
    let descriptor = try PageDescriptor(file, at: descriptorsOffset + rank * UInt64(PageDescriptor.byteCount))
    // Not written any more: the dump is incomplete.
    guard descriptor.offset != 0 else { return false }
    try file.withBytes(at: descriptor.offset, count: descriptor.size, "a page", areWritten: true) {
      bytes throws(FileError) in
      do throws(FileError) {
        if let compression = descriptor.compression {
          try decoder.decode(bytes, compression, body)
        } else {
          body(bytes)
        }
      } catch {
        throw FileError(error.what, at: file.place(of: descriptor.offset))
      }
    }
    return true
  }

  /// What is wrong with the last page, whose data ends the file: the first that is lost when a copy is cut off.
  var problemAtEnd: FileError? {
    guard bitmap.count > 0 else { return nil }
    do throws(FileError) {
      let rank = bitmap.count - 1
      let last = try PageDescriptor(file, at: descriptorsOffset + rank * UInt64(PageDescriptor.byteCount))
      try file.withBytes(at: last.offset, count: last.size, "the last page", areWritten: true) { _ in }
      return nil
    } catch {
      return error
    }
  }
}

/// `page_desc` (makedumpfile's diskdump_mod.h, 1.7.2; the same for 32 and 64 bits).
private struct PageDescriptor {
  static let byteCount = 24

  let offset: UInt64
  /// In the file; at most a page's.
  let size: Int
  /// Nil for a page that is as it was.
  let compression: KdumpCompression?

  init(_ file: DumpFile, at place: UInt64) throws(FileError) {
    let (offset, size, flags) = try file.withBytes(at: place, count: Self.byteCount, "a page's descriptor") {
      ($0.load(UInt64.self, at: 0), $0.load(UInt32.self, at: 8), $0.load(UInt32.self, at: 12))
    }
    self.offset = offset
    self.size = Int(size)
    compression = KdumpCompression(flags: flags)
    guard flags == 0 || compression != nil else {
      throw FileError("a page is compressed in a way that is not known (flags \(flags))", at: file.place(of: place))
    }
    // What compression does not make smaller is not compressed (QEMU's write_dump_pages, makedumpfile's
    // write_kdump_pages).
    guard flags == 0 ? size == KdumpHeader.pageSize : size <= KdumpHeader.pageSize else {
      throw FileError("a page takes \(size) bytes, which cannot be", at: file.place(of: place))
    }
  }
}
