import Glibc
import SystemPackage

/// A text in the user's cache folder, which is in XDG_CACHE_HOME or ~/.cache (XDG Base Directory Specification).
struct CacheFile {
  private let folder: FilePath
  private let file: FilePath

  /// Nil where there is no such folder.
  ///
  /// - Parameter name: Tells what the text depends on, so that one that is out of date is never met again.
  init?(named name: String) {
    guard let folder = Self.folder else { return nil }
    self.folder = folder
    file = folder.appending(name)
  }

  /// What is kept; nil where that is nothing.
  var text: String? { try? wholeText(file) }

  /// Keeps the text, in one step: a reader sees the whole or nothing. Nothing happens where it cannot be kept.
  func keep(_ text: String) {
    // These calls only read the strings they are given.
    for folder in [folder.removingLastComponent(), folder] { unsafe mkdir(folder.string, 0o755) }
    let draft = FilePath("\(file).\(getpid())")
    do {
      let descriptor = try FileDescriptor.open(
        draft, .writeOnly, options: [.create, .truncate, .closeOnExec],
        permissions: [.ownerReadWrite, .groupRead, .otherRead])
      try descriptor.closeAfter { _ = try descriptor.writeAll(Array(text.utf8)) }
      unsafe rename(draft.string, file.string)
    } catch {
      unsafe unlink(draft.string)
    }
  }

  private static var folder: FilePath? {
    if let base = environmentVariable("XDG_CACHE_HOME"), base.hasPrefix("/") {
      return FilePath(base).appending("inquest")
    }
    return environmentVariable("HOME").map { FilePath($0).appending(".cache").appending("inquest") }
  }
}
