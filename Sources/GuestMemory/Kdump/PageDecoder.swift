import Files

/// Decodes the pages of a kdump into a buffer of its own.
final class PageDecoder: @unchecked Sendable {
  // Sendable although it changes: each belongs to one part of the cache, and is used under the lock of that.
  private let output: MappedMemory
  private var zlib: ZlibDecoder?
  private var zstd: ZstdDecoder?

  init() throws(FileError) {
    do { output = try MappedMemory.buffer(byteCount: KdumpHeader.pageSize) } catch {
      throw FileError("no memory: \(error)")
    }
  }

  /// Gives the page to `body`.
  func decode(
    _ input: RawSpan, _ compression: KdumpCompression, _ body: (RawSpan) -> Void
  ) throws(FileError) {
    let count = try decode(input, compression)
    guard count == KdumpHeader.pageSize else {
      throw FileError("a page of the dump decompresses to \(count) bytes instead of \(KdumpHeader.pageSize)")
    }
    let output = output
    body(output.bytes)
  }

  private func decode(_ input: RawSpan, _ compression: KdumpCompression) throws(FileError) -> Int {
    switch compression {
    case .lzo: return try LZO.decodeBlock(input, into: output)
    case .snappy: return try Snappy.decodeBlock(input, into: output)
    case .zlib:
      let decoder = if let zlib { zlib } else { try ZlibDecoder() }
      zlib = decoder
      return try decoder.decodeChunk(input, into: output)
    case .zstd:
      let decoder = if let zstd { zstd } else { try ZstdDecoder() }
      zstd = decoder
      return try decoder.decodeChunk(input, into: output)
    }
  }
}
