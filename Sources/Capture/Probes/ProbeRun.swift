import CLinux
import Glibc
import SystemPackage

/// Pages that came out of the kernel's buffers together.
public struct ArrivedPages: Sendable {
  public var cpus: [(number: Int, pages: [UInt8])]
  /// All that was recorded before this has arrived: nanoseconds of CLOCK_MONOTONIC.
  public var completeUntil: UInt64
}

/// Whether whoever takes what was recorded wants more of it.
public enum Continuation: Sendable {
  case more
  case enough
}

extension ProbeSession {
  /// How often the kernel's buffers are emptied.
  private static let interval = Duration.milliseconds(50)
  /// An event gets its time a little before it can be read; more than a CPU is ever kept from finishing one.
  private static let margin: UInt64 = 20_000_000

  /// Runs a command to its end and records what it and its children do. Its input and output are this process's.
  ///
  /// SIGINT, SIGTERM and SIGHUP end the command, and then the recording.
  ///
  /// - Parameter take: gets what was recorded, as it comes. When it has had enough, the command is ended.
  public func record(
    _ command: [String], _ take: (ArrivedPages) throws -> Continuation
  ) throws -> ProcessEnd {
    let signals = try InterruptSignals()
    // The command inherits being followed from this thread.
    try start(threads: [clinux_thread()])
    let process = try ChildProcess(
      program: command[0], arguments: Array(command.dropFirst()), standardError: .standardError, inheriting: [])
    var end = RequestedEnd()
    while !process.hasEnded() {
      wait(for: [process.exitDescriptor, signals.descriptor])
      if try pass(on: take) == .enough { end.ask(SIGTERM) }
      if let signal = signals.next() { end.ask(signal) }
      end.carryOut(on: process)
    }
    try finish(take)
    return process.end ?? .exited(status: 0)
  }

  /// Records what the threads of a running process do, until it ends or a signal comes.
  public func record(process: Int32, _ take: (ArrivedPages) throws -> Continuation) throws {
    let signals = try InterruptSignals()
    let threads = directoryEntries(FilePath("/proc/\(process)/task")).compactMap { Int32($0) }
    guard !threads.isEmpty else { throw ProbeRefusal.system(doing: "looking at process \(process)", errno: ESRCH) }
    try start(threads: threads)
    while signals.next() == nil, kill(process, 0) == 0 {
      wait(for: [signals.descriptor])
      if try pass(on: take) == .enough { break }
    }
    try finish(take)
  }

  private func pass(on take: (ArrivedPages) throws -> Continuation) throws -> Continuation {
    let now = Self.now()
    return try take(ArrivedPages(cpus: try drain(), completeUntil: now - min(Self.margin, now)))
  }

  private func finish(_ take: (ArrivedPages) throws -> Continuation) throws {
    try stop()
    _ = try take(ArrivedPages(cpus: try drain(), completeUntil: .max))
  }

  private static func now() -> UInt64 {
    var time = timespec()
    // The call fills a structure on this stack.
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  private func wait(for descriptors: [OwnedDescriptor]) {
    var waits = descriptors.map { pollfd(fd: $0.descriptor.rawValue, events: Int16(POLLIN), revents: 0) }
    waitForAny(&waits, until: .now + Self.interval)
  }
}
