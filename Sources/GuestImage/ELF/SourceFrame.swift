/// A function that an instruction is of: the one whose code it is, or one whose call the compiler replaced by code.
public struct SourceFrame: Hashable, Sendable {
  /// As its language writes it, where it has a mangled name of Swift or C++; nil where the compiler recorded none, as an
  /// assembler does.
  public var function: String?
  /// Of the innermost frame the line of the instruction, of the others that of the call of the next inner one; nil
  /// where the compiler made the code up.
  public var line: SourceLine?
  /// Whether the function's code is part of the next outer frame's.
  public var isInlined: Bool

  public init(function: String?, line: SourceLine?, isInlined: Bool) {
    self.function = function
    self.line = line
    self.isInlined = isInlined
  }
}

extension SourceFrame: CustomStringConvertible {
  /// `function at file:line:column`, with `?` for what is not known, and ` (inlined)` behind it where it is.
  public var description: String {
    "\(function ?? "?") at \(line?.description ?? "?")\(isInlined ? " (inlined)" : "")"
  }
}
