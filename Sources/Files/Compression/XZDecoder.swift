import CLZMA

/// xz, stream after stream.
@safe final class XZDecoder: StreamDecoder {
  /// What `xz -9` needs, 65 MiB, and some more (xz(1), section on presets).
  private static let memoryLimit: UInt64 = 80 << 20

  // liblzma keeps its own pointers into the stream: it lives in its own allocation.
  private let stream: UnsafeMutablePointer<lzma_stream>

  init() throws(FileError) {
    unsafe stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
    // All zeros is LZMA_STREAM_INIT.
    unsafe stream.initialize(to: lzma_stream())
    guard unsafe lzma_stream_decoder(stream, Self.memoryLimit, 0) == LZMA_OK else {
      throw FileError("no memory for an xz decoder")
    }
  }

  deinit {
    unsafe lzma_end(stream)
    unsafe stream.deallocate()
  }

  func decode(_ input: RawSpan, into output: MappedMemory, at start: Int) throws(FileError) -> DecodingStep {
    let room = max(output.byteCount - start, 0)
    let result = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { destination in
        unsafe stream.pointee.next_in = source.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_in = source.count
        unsafe stream.pointee.next_out = (destination.baseAddress.map { unsafe $0 + start })?
          .assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = room
        return unsafe lzma_code(stream, LZMA_RUN)
      }
    }
    let step = unsafe DecodingStep(
      consumed: input.byteCount - stream.pointee.avail_in, produced: room - stream.pointee.avail_out,
      isComplete: result == LZMA_STREAM_END)
    switch result {
    case LZMA_STREAM_END:
      // Another stream may follow.
      guard unsafe lzma_stream_decoder(stream, Self.memoryLimit, 0) == LZMA_OK else {
        throw FileError("no memory for an xz decoder")
      }
      return step
    case LZMA_OK, LZMA_BUF_ERROR:
      return step
    case LZMA_MEMLIMIT_ERROR:
      throw FileError("xz: decompressing takes more than \(Self.memoryLimit >> 20) MiB; decompress it with xz -d")
    default:
      throw FileError("xz: the compressed data is damaged")
    }
  }
}
