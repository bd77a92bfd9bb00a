import CLinux
import Glibc
import SystemPackage

/// A new folder for sockets and links that only this user can enter (0700). It goes away with this process, however that
/// ends.
final class PrivateFolder {
  let path: FilePath
  private let guardian: Guardian

  /// Longer names of folders leave no room for a socket's: sun_path has 108 bytes.
  private static let longestPath = 80

  /// - Parameter files: The names of the files that may be made in it.
  init(for files: [String]) throws(Errno) {
    let path = try Self.make()
    self.path = path
    // The C strings are this function's own; the child has its copy of them when the call returns.
    var names = unsafe files.map { unsafe strdup(path.appending($0).string) }
    defer { unsafe names.forEach { unsafe free($0) } }
    do throws(Errno) {
      guardian = try Guardian { unsafe clinux_guard_folder($0, path.string, &names, names.count) }
    } catch {
      unsafe rmdir(path.string)
      throw error
    }
  }

  /// In XDG_RUNTIME_DIR, which is the user's alone (XDG Base Directory Specification), else where temporary files go.
  private static func make() throws(Errno) -> FilePath {
    let bases = ["XDG_RUNTIME_DIR", "TMPDIR"].compactMap(environmentVariable)
    for base in bases.filter({ $0.hasPrefix("/") && $0.utf8.count <= longestPath }) + ["/tmp"] {
      // mkdtemp writes the letters that it chose into the array, which ends in a zero.
      var template = Array("\(base)/inquest-XXXXXX".utf8CString)
      guard unsafe mkdtemp(&template) != nil else { continue }
      return FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    throw Errno(rawValue: errno)
  }
}
