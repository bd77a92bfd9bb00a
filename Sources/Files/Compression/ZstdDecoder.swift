import CZstd

/// Zstandard (RFC 8878), frame after frame.
@safe package final class ZstdDecoder: StreamDecoder {
  // The context belongs to this object alone and is freed with it.
  private let context: OpaquePointer

  package init() throws(FileError) {
    guard let context = unsafe ZSTD_createDCtx() else { throw FileError("no memory for a zstd decoder") }
    unsafe self.context = unsafe context
  }

  deinit { unsafe ZSTD_freeDCtx(context) }

  package func decode(_ input: RawSpan, into output: MappedMemory, at start: Int) throws(FileError) -> DecodingStep {
    let step = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { destination in
        var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var to = unsafe ZSTD_outBuffer(
          dst: destination.baseAddress, size: destination.count, pos: min(start, destination.count))
        let result = unsafe ZSTD_decompressStream(context, &to, &from)
        return unsafe (result, from.pos, to.pos - start)
      }
    }
    guard ZSTD_isError(step.0) == 0 else { throw Self.error(step.0) }
    return DecodingStep(consumed: step.1, produced: step.2, isComplete: step.0 == 0)
  }

  /// Decodes one chunk whole and gives the number of bytes it holds. The chunk is one frame, or several.
  package func decodeChunk(_ input: RawSpan, into output: MappedMemory) throws(FileError) -> Int {
    let result = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { destination in
        unsafe ZSTD_decompressDCtx(
          context, destination.baseAddress, destination.count, source.baseAddress, source.count)
      }
    }
    guard ZSTD_isError(result) == 0 else { throw Self.error(result) }
    return result
  }

  private static func error(_ code: Int) -> FileError {
    FileError("zstd: \(unsafe String(cString: ZSTD_getErrorName(code)))")
  }
}
