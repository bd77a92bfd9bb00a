import Capture
import FoundationEssentials
import Glibc
import SystemPackage

/// A folder that is written beside the place where it will be, and moved there when it is whole: nobody ever sees a part
/// of a case. What was written goes if anything fails, and where SIGINT, SIGTERM or SIGHUP ends this process.
final class UnfinishedFolder {
  let path: FilePath
  private let destination: FilePath
  private let watch: InterruptWatch?
  private var isFinished = false

  /// What the names of unfinished folders begin with; the process's ID ends them.
  static let prefix = ".inquest-unfinished-"

  init(for destination: FilePath) throws(CaseError) {
    self.destination = destination
    let parent = destination.removingLastComponent()
    let path = (parent.isEmpty ? FilePath(".") : parent).appending("\(Self.prefix)\(getpid())")
    self.path = path
    Self.removeLeftovers(in: parent.isEmpty ? FilePath(".") : parent)
    Self.remove(path)
    guard unsafe mkdir(path.string, 0o700) == 0 else {
      throw .system(doing: "making a folder beside \(destination)", errno: errno)
    }
    watch = try? InterruptWatch { Self.remove(path) }
  }

  deinit { if !isFinished { Self.remove(path) } }

  /// Moves the folder to its place, where there is to be nothing, or an empty folder.
  func finish() throws(CaseError) {
    guard unsafe rename(path.string, destination.string) == 0 else {
      let isThere = [EEXIST, ENOTEMPTY, ENOTDIR].contains(errno)
      throw isThere
        ? .occupied(destination.string) : .system(doing: "moving a folder to \(destination)", errno: errno)
    }
    isFinished = true
  }

  private static func remove(_ path: FilePath) { try? FileManager.default.removeItem(atPath: path.string) }

  /// Removes what a process that is no more has left unfinished in a folder; SIGKILL lets nobody clean up.
  static func removeLeftovers(in folder: FilePath) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? [] {
      guard name.hasPrefix(prefix), let process = Int32(name.dropFirst(prefix.count)), process > 0,
        kill(process, 0) != 0, errno == ESRCH
      else { continue }
      remove(folder.appending(name))
    }
  }
}
