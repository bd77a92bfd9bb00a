/// Why a case folder cannot be written or read.
public enum CaseError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The folder itself, or a file in it, with what the system says.
  case system(doing: String, errno: Int32)
  /// Something else than what belongs there: a link, a device, a folder.
  case notRegular(file: String)
  /// More than any case has.
  case tooLarge(file: String, size: Int, limit: Int)
  /// The folder is that of another, later format.
  case laterFormat(Int)
  /// A file is not what the format says.
  case malformed(file: String, reason: String)
  /// There is something already where the case is to go.
  case occupied(String)

  public var description: String {
    switch self {
    case .system(let what, let code): "\(what): \(errorText(code))"
    case .notRegular(let file): "\(file) is not a regular file, as everything in a case is"
    case .tooLarge(let file, let size, let limit): "\(file) has \(size) bytes; in a case it has at most \(limit)"
    case .laterFormat(let number):
      "the case is of format \(number), and this inquest reads formats up to \(CaseFormat.version); use a newer one"
    case .malformed(let file, let reason): "\(file): \(reason)"
    case .occupied(let path): "there is something at \(path) already; name a folder that does not exist"
    }
  }
}
