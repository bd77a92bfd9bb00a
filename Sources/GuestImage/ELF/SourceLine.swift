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

extension SourceLine {
  /// A place as DWARF has it, where a column of 0 is none; nil for line 0, by which DWARF says that code belongs to no
  /// line (DWARF 5, 6.2.2), and for a line that no file has.
  init?(dwarfFile file: String, line: UInt64, column: UInt64?) {
    guard line > 0, let line = Int(exactly: line) else { return nil }
    self.init(
      file: Self.singleSlashes(file), line: line, column: column.flatMap { $0 > 0 ? Int(exactly: $0) : nil })
  }

  /// Joining a directory that ends in a slash with a name leaves two, as with NASM's DWARF.
  private static func singleSlashes(_ path: String) -> String {
    let parts = path.split(separator: "/", omittingEmptySubsequences: true).joined(separator: "/")
    return path.hasPrefix("/") ? "/" + parts : parts
  }
}
