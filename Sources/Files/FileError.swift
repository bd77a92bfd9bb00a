/// Why a file, or a part of it, cannot be read.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, and where it helps what to do about it.
  public var what: String
  /// The offset in the file at which it is wrong; nil where it is not about a place.
  public var offset: Int?

  public init(_ what: String, at offset: Int? = nil) {
    self.what = what
    self.offset = offset
  }

  public var description: String {
    guard let offset else { return what }
    return "\(what) (at offset \(offset))"
  }
}
