import CZstd

/// Compresses chunks with Zstandard.
@safe final class ZstdEncoder {
  // The context belongs to this object alone and is freed with it.
  private let context: OpaquePointer

  /// The version of the library, which a trace.dat records.
  static var version: String { unsafe String(cString: ZSTD_versionString()) }

  init() throws(TraceFileError) {
    guard let context = unsafe ZSTD_createCCtx() else { throw TraceFileError("no memory for a zstd encoder") }
    unsafe self.context = unsafe context
  }

  deinit { unsafe ZSTD_freeCCtx(context) }

  /// One frame that holds the bytes.
  func encode(_ bytes: borrowing RawSpan) throws(TraceFileError) -> [UInt8] {
    let bound = ZSTD_compressBound(bytes.byteCount)
    var result = 0
    let output = unsafe [UInt8](unsafeUninitializedCapacity: bound) { destination, count in
      result = unsafe bytes.withUnsafeBytes { source in
        unsafe ZSTD_compressCCtx(
          context, destination.baseAddress, destination.count, source.baseAddress, source.count,
          ZSTD_CLEVEL_DEFAULT)
      }
      count = ZSTD_isError(result) == 0 ? result : 0
    }
    guard ZSTD_isError(result) == 0 else {
      throw TraceFileError("zstd: \(unsafe String(cString: ZSTD_getErrorName(result)))")
    }
    return output
  }
}
