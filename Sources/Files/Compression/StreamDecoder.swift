/// What one call of a decoder did.
package struct DecodingStep {
  /// Bytes of the input that need not be given again.
  package var consumed: Int
  /// Bytes written to the output.
  package var produced: Int
  /// Whether the compressed data is complete at this point; more may follow it.
  package var isComplete: Bool
}

/// A decoder that takes its input in pieces and gives its output in pieces, with a bounded state.
package protocol StreamDecoder: AnyObject {
  /// Decodes some of the input into `output`, from `start` on.
  ///
  /// At most what fits is written; a step that consumes and produces nothing means that input or room is missing.
  func decode(_ input: RawSpan, into output: MappedMemory, at start: Int) throws(FileError) -> DecodingStep
}

/// The formats in which whole files are compressed.
package enum FileCompression: CaseIterable {
  case gzip
  case xz
  case zstd

  /// Recognised by the first bytes (RFC 1952 section 2.3; xz file format 2.1.1.1; RFC 8878 section 3.1.1).
  package init?(_ bytes: RawSpan) {
    guard let compression = Self.allCases.first(where: { bytes.hasPrefix($0.magic) }) else { return nil }
    self = compression
  }

  private var magic: [UInt8] {
    switch self {
    case .gzip: [0x1f, 0x8b, 0x08]
    case .xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]
    case .zstd: [0x28, 0xb5, 0x2f, 0xfd]
    }
  }

  func makeDecoder() throws(FileError) -> any StreamDecoder {
    switch self {
    case .gzip: try ZlibDecoder()
    case .xz: try XZDecoder()
    case .zstd: try ZstdDecoder()
    }
  }
}
