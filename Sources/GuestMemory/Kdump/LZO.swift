import CLZO
import Files

/// LZO1X, block by block.
enum LZO {
  private static let isUsable = clzo_init() == LZO_E_OK

  /// Decodes one block whole and gives the number of bytes it holds.
  static func decodeBlock(_ input: RawSpan, into output: MappedMemory) throws(FileError) -> Int {
    guard isUsable else { throw FileError("the LZO library does not work on this machine") }
    var count = lzo_uint(output.byteCount)
    let result = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { destination in
        // The safe decoder reads and writes within the sizes it is given, whatever the input is.
        unsafe lzo1x_decompress_safe(
          source.bindMemory(to: UInt8.self).baseAddress, lzo_uint(source.count),
          destination.bindMemory(to: UInt8.self).baseAddress, &count, nil)
      }
    }
    guard result == LZO_E_OK else { throw FileError("lzo: the compressed data is damaged") }
    return Int(count)
  }
}
