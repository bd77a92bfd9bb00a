import CSnappy
import Files

/// Snappy, block by block.
enum Snappy {
  /// Decodes one block whole and gives the number of bytes it holds.
  static func decodeBlock(_ input: RawSpan, into output: MappedMemory) throws(FileError) -> Int {
    var count = output.byteCount
    let result = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { destination in
        // Writes nothing unless all fits.
        unsafe snappy_uncompress(
          source.bindMemory(to: CChar.self).baseAddress, source.count,
          destination.bindMemory(to: CChar.self).baseAddress, &count)
      }
    }
    guard result == SNAPPY_OK else { throw FileError("snappy: the compressed data is damaged") }
    return count
  }
}
