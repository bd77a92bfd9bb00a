import Foundation
import Glibc
import SystemPackage

@testable import Capture

/// A QEMU under TCG that was started without Inquest, with a QMP socket and a gdbstub in a folder of its own.
///
/// It ends with this object, which must not outlive the thread that made it.
final class RunningQEMU {
  let folder: URL
  private let process: ChildProcess
  var qmp: SocketAddress { .unix(folder.appending(path: "qmp").path) }
  var gdb: SocketAddress { .unix(folder.appending(path: "gdb").path) }
  var processID: Int32 { process.processID }

  init(_ arguments: [String]) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "inquest-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    let sockets = [
      "-qmp", "unix:\(folder.path)/qmp,server=on,wait=off", "-gdb", "unix:\(folder.path)/gdb,server=on,wait=off",
    ]
    process = try ChildProcess(
      program: "qemu-system-x86_64",
      arguments: ["-nodefaults", "-display", "none", "-accel", "tcg"] + sockets + arguments,
      standardError: .standardError, inheriting: [])
    // QEMU makes the gdbstub's socket last.
    while !process.hasEnded(), !FileManager.default.fileExists(atPath: folder.appending(path: "gdb").path) {
      usleep(5000)
    }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }
}
