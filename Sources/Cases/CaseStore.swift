import FoundationEssentials
import Glibc
public import SystemPackage

/// Where a user's cases are kept unless told otherwise: `$XDG_STATE_HOME/inquest`, or `~/.local/state/inquest` (XDG Base
/// Directory Specification 0.8). When they take too much room, the oldest go.
public struct CaseStore {
  public let folder: FilePath
  /// How much all cases together may take on the disk, in bytes; the newest stays in any case.
  public var limit: Int

  /// The limit unless told otherwise: some hundred cases of a small guest.
  public static let usualLimit = 512 << 20

  public init(folder: FilePath, limit: Int = usualLimit) {
    self.folder = folder
    self.limit = limit
  }

  /// The store of this process's user; nil where the environment names neither a state folder nor a home.
  public init?(environment: [String: String]) {
    if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
      self.init(folder: FilePath(state).appending("inquest"))
    } else if let home = environment["HOME"], home.hasPrefix("/") {
      self.init(folder: FilePath(home).appending(".local/state/inquest"))
    } else {
      return nil
    }
  }

  /// A place for a new case, in the store's folder, which is made if it is not there.
  ///
  /// - Parameter time: RFC 3339, in UTC: `2026-11-28T08:26:04Z`.
  public func newCase(at time: String) throws(CaseError) -> FilePath {
    do {
      try FileManager.default.createDirectory(
        atPath: folder.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw .system(doing: "making \(folder)", errno: errno)
    }
    let digits = time.filter { $0.isASCII && ($0.isNumber || $0 == "T") }
    let name = "\(Self.prefix)\(digits)-\(getpid())"
    return folder.appending(name)
  }

  private static let prefix = "case-"

  /// Removes the oldest cases until the rest keeps to the limit; never the newest.
  public func removeOldest() {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? []
    // The names begin with the time.
    let cases = names.filter { $0.hasPrefix(Self.prefix) }.sorted().map { folder.appending($0) }
    var sizes = cases.map(Self.size)
    var total = sizes.reduce(0, +)
    for path in cases.dropLast() where total > limit {
      try? FileManager.default.removeItem(atPath: path.string)
      total -= sizes.removeFirst()
    }
  }

  /// What a case takes on the disk, in bytes.
  private static func size(_ path: FilePath) -> Int {
    CaseFormat.File.allCases.reduce(0) { sum, file in
      var status = stat()
      // lstat fills one structure.
      guard unsafe lstat(path.appending(file.rawValue).string, &status) == 0 else { return sum }
      return sum + Int(status.st_blocks) * 512
    }
  }
}
