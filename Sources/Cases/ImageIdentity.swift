import Files
public import GuestImage

/// What tells one build of a guest's program from another.
public struct ImageIdentity: Hashable, Sendable, Codable {
  /// In bytes.
  public var size: UInt64
  /// CRC-32 of the whole file.
  public var crc32: UInt32
  /// The GNU build ID in hexadecimal; nil where the file has none.
  public var buildID: String?

  public init(of image: GuestImage) {
    size = image.fileSize
    crc32 = image.withContents { Files.crc32(of: $0) }
    buildID = image.buildID
  }
}

extension Case.Image {
  /// - Parameter copies: Whether the file itself is taken too, if it is small enough.
  public init(_ image: GuestImage, name: String, copies: Bool = true) {
    let isSmall = image.fileSize <= CaseFormat.largestImage
    let contents = copies && isSmall ? image.withContents { contents in contents.indices.map { contents[$0] } } : nil
    self.init(name: name, identity: ImageIdentity(of: image), contents: contents)
  }
}
