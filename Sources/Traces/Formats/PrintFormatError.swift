/// Why a print format cannot be evaluated.
public struct PrintFormatError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Problem: Hashable, Sendable {
    /// The text does not begin with a string.
    case noFormatString
    case unterminatedString
    case unexpected(String)
    case unexpectedEnd
    /// The record has no field of this name.
    case unknownField(String)
    /// A name that only the kernel's headers define, in a place where its value is needed.
    case unknownName(String)
    case unknownType(String)
    /// A function of the kernel that this does not know.
    case unknownFunction(String)
    /// A conversion such as `%pV` that this does not know.
    case unknownConversion(String)
    /// A conversion has no argument left.
    case missingArgument
    /// What an argument is does not suit its conversion.
    case mismatch(String)
    /// The text nests or chains more operations than any real one does.
    case tooComplex
  }

  public var problem: Problem
  /// In the text after `print fmt:`.
  public var offset: Int

  public var description: String {
    let what =
      switch problem {
      case .noFormatString: "it does not begin with a string"
      case .unterminatedString: "a string has no end"
      case .unexpected(let text): "\(text) is not expected here"
      case .unexpectedEnd: "the text ends too early"
      case .unknownField(let name): "the record has no field \(name)"
      case .unknownName(let name): "the value of \(name) is not known"
      case .unknownType(let name): "the type \(name) is not known"
      case .unknownFunction(let name): "the function \(name) is not known"
      case .unknownConversion(let text): "the conversion \(text) is not known"
      case .missingArgument: "a conversion has no argument"
      case .mismatch(let text): "the argument does not suit \(text)"
      case .tooComplex: "the expression is too long"
      }
    return "print format, byte \(offset): \(what)"
  }
}
