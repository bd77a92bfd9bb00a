import CLinux
import Glibc
import SystemPackage

extension ProbeSession {
  /// How often the kernel's buffers are emptied.
  private static let interval = Duration.milliseconds(50)

  /// Runs a command to its end and records what it and its children do. Its input and output are this process's.
  ///
  /// SIGINT, SIGTERM and SIGHUP end the command, and then the recording.
  public func record(_ command: [String]) throws -> ProcessEnd {
    let signals = try InterruptSignals()
    // The command inherits being followed from this thread.
    try start(threads: [clinux_thread()])
    let process = try ChildProcess(
      program: command[0], arguments: Array(command.dropFirst()), standardError: .standardError, inheriting: [])
    while !process.hasEnded() {
      wait(for: [process.exitDescriptor, signals.descriptor])
      try drain()
      // The terminal sends SIGINT to the command as well.
      if let signal = signals.next(), signal != SIGINT { process.send(SIGTERM) }
    }
    return process.end ?? .exited(status: 0)
  }

  /// Records what the threads of a running process do, until it ends or a signal comes.
  public func record(process: Int32) throws {
    let signals = try InterruptSignals()
    let threads = directoryEntries(FilePath("/proc/\(process)/task")).compactMap { Int32($0) }
    guard !threads.isEmpty else { throw ProbeRefusal.system(doing: "looking at process \(process)", errno: ESRCH) }
    try start(threads: threads)
    while signals.next() == nil, kill(process, 0) == 0 {
      wait(for: [signals.descriptor])
      try drain()
    }
  }

  private func wait(for descriptors: [OwnedDescriptor]) {
    var waits = descriptors.map { pollfd(fd: $0.descriptor.rawValue, events: Int16(POLLIN), revents: 0) }
    waitForAny(&waits, until: .now + Self.interval)
  }
}
