import CLinux
import Glibc
import SystemPackage

extension Guardian {
  /// Removes an instance of tracefs, if there is one, and events.
  ///
  /// - Parameters:
  ///   - definitions: tracefs's file of dynamic events.
  ///   - events: Those of the group to remove; none where the instance alone is to go.
  convenience init(
    instance: FilePath?, definitions: FilePath, group: String, events: [String]
  ) throws(ProbeRefusal) {
    // The C strings are this function's own; the child has its copy of them when the call returns.
    var lines = unsafe events.map { unsafe strdup("-:\(group)/\($0)\n") }
    defer { unsafe lines.forEach { unsafe free($0) } }
    do throws(Errno) {
      try self.init { unsafe clinux_guard_tracing($0, instance?.string ?? "", definitions.string, &lines, lines.count) }
    } catch {
      throw .system(doing: "starting a process to clean up", errno: error.rawValue)
    }
  }
}
