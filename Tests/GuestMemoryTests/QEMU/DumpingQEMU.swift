import FileBuilding
import Foundation
import QEMU
import SystemPackage
import X86

/// A QEMU under TCG that is told to dump its guest, over QMP on its standard input and output.
final class DumpingQEMU {
  enum Failure: Error {
    /// QEMU closed the connection.
    case ended
    case refused(QMPFailure)
    /// The guest did not get where it was to get.
    case neverSeen(String)
  }

  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var decoder = QMPDecoder()
  private var lastCommand: UInt64 = 0
  /// Where the dumps go.
  private let folder: URL

  /// Nil, with a line that says so, where QEMU is not installed.
  init?(_ arguments: [String]) throws {
    guard let executable = ExternalTool.path("qemu-system-x86_64"), let timeout = ExternalTool.path("timeout") else {
      return nil
    }
    folder = URL(filePath: NSTemporaryDirectory()).appending(component: "inquest-dumps-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    // Should this process not live to end QEMU. No other signal would do: Foundation starts it with all of them blocked.
    process.executableURL = URL(filePath: timeout)
    process.arguments =
      ["--signal=KILL", "300", executable, "-accel", "tcg", "-nodefaults", "-display", "none", "-qmp", "stdio"]
      + arguments
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    _ = try execute(.capabilities)
  }

  deinit {
    _ = try? execute(.quit)
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: folder)
  }

  func execute(_ command: QMPCommand) throws -> JSONValue {
    lastCommand += 1
    try input.fileHandleForWriting.write(contentsOf: command.encoded(id: lastCommand))
    while true {
      switch try nextMessage() {
      case .reply(id: lastCommand, let value): return value
      case .failure(_, let failure): throw Failure.refused(failure)
      default: continue
      }
    }
  }

  private func nextMessage() throws -> QMPMessage {
    while true {
      if let message = try decoder.next() { return message }
      let bytes = output.fileHandleForReading.availableData
      guard !bytes.isEmpty else { throw Failure.ended }
      decoder.receive(bytes)
    }
  }

  /// What the monitor shows of all vCPUs.
  func registers() throws -> [ProcessorState] {
    let text = try execute(.monitor("info registers -a")).string ?? ""
    return QEMULog.parse(text).compactMap { if case .registerDump(let dump) = $0.message { dump.state } else { nil } }
  }

  /// Stops the guest once its vCPUs are as they should be.
  func stop(when isThere: ([ProcessorState]) -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if isThere(try registers()) {
        _ = try execute(.stop)
        return
      }
      Thread.sleep(forTimeInterval: 0.05)
    }
    throw Failure.neverSeen("\(try registers())")
  }

  /// Dumps the guest.
  ///
  /// - Returns: Nil, with a line that says so, where this QEMU cannot write the format.
  func dump(_ format: String, paging: Bool = false) throws -> FilePath? {
    let known = try execute(QMPCommand("query-dump-guest-memory-capability"))["formats"]?.array ?? []
    guard known.contains(.string(format)) else {
      print("skipped: this QEMU has no \(format)")
      return nil
    }
    let path = path("\(format)\(paging ? "-paging" : "")")
    _ = try execute(
      QMPCommand(
        "dump-guest-memory",
        ["paging": .bool(paging), "protocol": .string("file:\(path)"), "format": .string(format)]))
    return path
  }

  /// Copies physical memory as the guest would read it.
  func save(_ range: Range<UInt64>) throws -> FilePath {
    let path = path("raw-\(range.lowerBound)")
    _ = try execute(
      QMPCommand(
        "pmemsave",
        [
          "val": .unsigned(range.lowerBound), "size": .unsigned(UInt64(range.count)),
          "filename": .string(path.string),
        ]))
    return path
  }

  private func path(_ name: String) -> FilePath { FilePath(folder.appending(component: name).path()) }
}
