import CZlib

/// zlib and gzip (RFC 1950, 1952), told apart by their headers; gzip members may follow one another.
@safe package final class ZlibDecoder: StreamDecoder {
  // zlib keeps a pointer to the stream, so that it must not move: it lives in its own allocation.
  private let stream: UnsafeMutablePointer<z_stream>

  package init() throws(FileError) {
    unsafe stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    // 15 bits of window; 32 has the header detected.
    let result = unsafe inflateInit2_(stream, 15 + 32, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard result == Z_OK else { throw FileError("no memory for a zlib decoder") }
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  package func decode(_ input: RawSpan, into output: MappedMemory, at start: Int) throws(FileError) -> DecodingStep {
    let given = min(input.byteCount, Int(UInt32.max))
    let room = min(max(output.byteCount - start, 0), Int(UInt32.max))
    let result = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { destination in
        // zlib only reads the input, though its type does not say so.
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
          mutating: source.baseAddress?.assumingMemoryBound(to: Bytef.self))
        unsafe stream.pointee.avail_in = UInt32(given)
        unsafe stream.pointee.next_out = (destination.baseAddress.map { unsafe $0 + start })?
          .assumingMemoryBound(to: Bytef.self)
        unsafe stream.pointee.avail_out = UInt32(room)
        return unsafe inflate(stream, Z_NO_FLUSH)
      }
    }
    let step = unsafe DecodingStep(
      consumed: given - Int(stream.pointee.avail_in), produced: room - Int(stream.pointee.avail_out),
      isComplete: result == Z_STREAM_END)
    switch result {
    case Z_STREAM_END:
      // Another gzip member may follow.
      unsafe inflateReset(stream)
      return step
    case Z_OK, Z_BUF_ERROR:
      return step
    default:
      throw FileError("zlib: the compressed data is damaged")
    }
  }

  /// Decodes one chunk whole and gives the number of bytes it holds.
  package func decodeChunk(_ input: RawSpan, into output: MappedMemory) throws(FileError) -> Int {
    unsafe inflateReset(stream)
    let step = try decode(input, into: output, at: 0)
    guard step.isComplete else { throw FileError("zlib: the compressed data ends early or holds too much") }
    return step.produced
  }
}
