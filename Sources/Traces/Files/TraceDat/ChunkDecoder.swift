import Files

/// The compression of a trace.dat version 7.
enum TraceDatCompression: Hashable, Sendable {
  case none
  case zlib
  case zstd
  case unknown(String)

  init(name: String) {
    switch name {
    case "none", "": self = .none
    case "zlib": self = .zlib
    case "zstd": self = .zstd
    default: self = .unknown(name)
    }
  }

  /// The most that one chunk may hold. trace-cmd puts 10 pages in a chunk of CPU data, and whole sections such as
  /// kallsyms, of some MiB, in one.
  static let largestChunk = 1 << 26

  func makeDecoder() throws(TraceFileError) -> ChunkDecoder {
    switch self {
    case .zlib: .zlib(try ZlibDecoder())
    case .zstd: .zstd(try ZstdDecoder())
    case .none: throw TraceFileError("the file says that nothing is compressed, and a section that it is")
    case .unknown(let name): throw TraceFileError("the file is compressed with \(name), which inquest does not know")
    }
  }
}

/// Decodes chunk after chunk.
enum ChunkDecoder {
  case zlib(ZlibDecoder)
  case zstd(ZstdDecoder)

  func decode(_ input: RawSpan, into output: MappedMemory) throws(TraceFileError) -> Int {
    switch self {
    case .zlib(let decoder): try decoder.decodeChunk(input, into: output)
    case .zstd(let decoder): try decoder.decodeChunk(input, into: output)
    }
  }
}

/// A chunk's head: u32 compressed size, u32 plain size, both larger than 0; the compressed bytes follow.
struct Chunk {
  static let headSize = 8

  /// Where the compressed bytes lie in the file.
  var data: Range<Int>
  var plainSize: Int

  /// Reads the head at `offset`, which must lie with all its data before `end`.
  init(_ bytes: RawSpan, at offset: Int, before end: Int, _ byteOrder: ByteOrder) throws(TraceDamage.Problem) {
    guard let head = bytes.slice(offset: offset, count: Self.headSize), offset <= end - Self.headSize else {
      throw .chunkCut
    }
    let size = Int(head.load(UInt32.self, at: 0, byteOrder))
    plainSize = Int(head.load(UInt32.self, at: 4, byteOrder))
    let start = offset + Self.headSize
    guard size <= end - start else { throw .chunkCut }
    guard size > 0, plainSize > 0, plainSize <= TraceDatCompression.largestChunk else { throw .chunkTooLarge }
    data = start..<(start + size)
  }
}

extension TraceDamage.Problem: Error {}
