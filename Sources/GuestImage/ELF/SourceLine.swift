/// A place in the guest's source.
public struct SourceLine: Hashable, Sendable {
  /// As the compiler recorded it: absolute, or relative to a directory that is not known here.
  public var file: String
  /// From 1.
  public var line: Int
  /// From 1; nil where the compiler recorded none.
  public var column: Int?

  public init(file: String, line: Int, column: Int?) {
    self.file = file
    self.line = line
    self.column = column
  }
}

extension SourceLine: CustomStringConvertible {
  /// `file:line` or `file:line:column`.
  public var description: String {
    guard let column else { return "\(file):\(line)" }
    return "\(file):\(line):\(column)"
  }
}
