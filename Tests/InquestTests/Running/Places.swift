import Foundation
import Subprocess
import SystemPackage

/// Where a command may leave things, each place its own: by TMPDIR its processes are known among all others, whoever
/// their parent is by now.
struct Places: Sendable {
  let folder: Folder
  private let temporary: String
  private let runtime: String

  init(in folder: Folder) throws {
    self.folder = folder
    temporary = try folder.makeFolder("tmp")
    runtime = try folder.makeFolder("run")
  }

  /// The whole environment, but for what the command wants otherwise.
  func environment(with changes: [String: String]) -> Environment {
    let usual = [
      "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
      "HOME": folder.path, "TMPDIR": temporary, "XDG_RUNTIME_DIR": runtime,
      "XDG_STATE_HOME": folder.path("state"),
    ]
    return .custom(
      usual.merging(changes) { $1 }.reduce(into: [:]) { $0[Environment.Key(stringLiteral: $1.key)] = $1.value })
  }

  /// A new file of this name, for the command to write.
  func file(_ name: String) throws -> FileDescriptorOutput {
    let file = try FileDescriptor.open(
      FilePath(folder.path(name)), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
    return .fileDescriptor(file, closeAfterSpawningProcess: true)
  }

  /// What the command left behind: files in its temporary folders, and processes that do not go away. Ends those.
  func leftovers(after patience: Duration) async throws -> [String] {
    let limit = ContinuousClock.now + patience
    while !processes.isEmpty, ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(50)) }
    let processes = processes
    for process in processes { kill(process, SIGKILL) }
    // A process may be there to remove the files of one that was killed.
    var files: [String] = []
    for place in [temporary, runtime] {
      files += try FileManager.default.subpathsOfDirectory(atPath: place).map { "\(place)/\($0)" }
    }
    return files + processes.map { "process \($0)" }
  }

  /// The processes that were started with these folders.
  private var processes: [pid_t] {
    let mark = Data("TMPDIR=\(temporary)\0".utf8)
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { pid_t($0) } ?? []
    return numbers.filter { number in
      let environment = FileHandle(forReadingAtPath: "/proc/\(number)/environ")
      defer { try? environment?.close() }
      return (try? environment?.readToEnd())?.range(of: mark) != nil
    }
  }
}
