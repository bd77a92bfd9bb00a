import CZstd

/// Compresses chunks with Zstandard.
@safe package final class ZstdEncoder {
  // The context belongs to this object alone and is freed with it.
  private let context: OpaquePointer

  /// The version of the library, which a trace.dat records.
  package static var version: String { unsafe String(cString: ZSTD_versionString()) }

  package init() throws(FileError) {
    guard let context = unsafe ZSTD_createCCtx() else { throw FileError("no memory for a zstd encoder") }
    unsafe self.context = unsafe context
  }

  deinit { unsafe ZSTD_freeCCtx(context) }

  /// One frame that holds the bytes.
  package func encode(_ bytes: borrowing RawSpan) throws(FileError) -> [UInt8] {
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
      throw FileError("zstd: \(unsafe String(cString: ZSTD_getErrorName(result)))")
    }
    return output
  }
}
