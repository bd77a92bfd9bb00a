import Foundation
import Glibc
import QEMU
import SystemPackage

@testable import Capture

/// A QEMU that was started without Inquest, under TCG unless a test says otherwise, with QMP sockets and a gdbstub in a
/// folder of its own.
///
/// It ends with this object, which must not outlive the thread that made it.
final class RunningQEMU {
  let folder: URL
  private let process: ChildProcess
  var qmp: SocketAddress { .unix(folder.appending(path: "qmp").path) }
  var gdb: SocketAddress { .unix(folder.appending(path: "gdb").path) }
  /// A second QMP socket, by which a test sees what the guest does.
  let observer: QMPConnection
  var processID: Int32 { process.processID }

  /// - Parameter arguments: Told the folder.
  init(accelerator: String = "tcg", _ arguments: (URL) -> [String]) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "inquest-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    let socket = "unix:\(folder.path)/"
    let sockets = [("-qmp", "qmp"), ("-qmp", "observer"), ("-gdb", "gdb")].flatMap { option, name in
      [option, socket + name + ",server=on,wait=off"]
    }
    process = try ChildProcess(
      program: "qemu-system-x86_64",
      arguments: ["-nodefaults", "-display", "none", "-accel", accelerator] + sockets + arguments(folder),
      standardError: .standardError, inheriting: [])
    // QEMU makes the gdbstub's socket last.
    while !process.hasEnded(), !FileManager.default.fileExists(atPath: folder.appending(path: "gdb").path) {
      usleep(5000)
    }
    observer = try QMPConnection(.unix(folder.appending(path: "observer").path), within: .seconds(30))
  }

  /// Where a chardev listens that was given port 0 of this host.
  func address(ofChardev label: String) throws -> SocketAddress {
    let devices = try observer.execute(QMPCommand("query-chardev")).array ?? []
    // disconnected:tcp:127.0.0.1:43567,server=on
    let name = devices.first { $0["label"]?.string == label }?["filename"]?.string
    guard let address = name?.split(separator: ",").first, let start = address.firstRange(of: "tcp:")?.lowerBound else {
      throw LiveGuestError.lost(doing: "opening a TCP port")
    }
    return SocketAddress(String(address[start...]))
  }

  /// What the guest does now.
  var state: String? { (try? observer.execute(.queryStatus))?["status"]?.string }

  deinit { try? FileManager.default.removeItem(at: folder) }
}
