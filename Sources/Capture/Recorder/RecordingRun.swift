import CLinux
import Glibc
public import SystemPackage

extension RecordingRequest {
  /// How often the kernel's buffers are emptied.
  private static let interval = Duration.milliseconds(50)

  /// Records until the command or the process ends, or SIGINT, SIGTERM or SIGHUP comes, and writes a trace.dat.
  ///
  /// A signal ends the command, too.
  ///
  /// - Parameter tell: Told now and then how far the recording has come.
  /// - Throws: ``RecordingRefusal``, ``CaptureError``, or what is wrong with the file.
  public func run(to path: FilePath, tell: (RecordingProgress) -> Void) throws -> RecordingSummary {
    let signals: InterruptSignals
    do throws(Errno) { signals = try InterruptSignals() } catch {
      throw CaptureError.system(doing: "catching signals", errno: error.rawValue)
    }
    if case .process(let process) = subject, kill(process, 0) != 0, errno == ESRCH {
      throw CaptureError.system(doing: "looking at process \(process)", errno: ESRCH)
    }
    let recorder = try makeRecorder()
    let start = ContinuousClock.now
    func progress() -> RecordingProgress {
      let (events, bytes, lost) = recorder.progress
      return RecordingProgress(events: events, bytes: bytes, lost: lost, time: .now - start)
    }
    let end = try record(with: recorder, signals) { tell(progress()) }
    let isCut = try recorder.finish(to: path)
    return RecordingSummary(
      way: recorder.way, tracepoints: recorder.tracepoints, progress: progress(), isCut: isCut, end: end)
  }

  private func makeRecorder() throws(RecordingRefusal) -> any EventRecorder {
    let tracefs = try Tracefs()
    let chosen = try tracefs.tracepoints(in: tracefs.systems, chosenBy: tracepoints)
    switch way {
    case .perf: return try PerfRecorder(chosen, self)
    case .tracefs: return try TracefsRecorder(tracefs, chosen, self)
    case nil:
      do throws(RecordingRefusal) {
        return try PerfRecorder(chosen, self)
      } catch .filterRefused {
        throw .filterRefused
      } catch {
        guard let recorder = try? TracefsRecorder(tracefs, chosen, self) else { throw error }
        return recorder
      }
    }
  }

  private func record(
    with recorder: any EventRecorder, _ signals: InterruptSignals, _ tell: () -> Void
  ) throws -> ProcessEnd? {
    switch subject {
    case .command(let words):
      let process: ChildProcess
      do throws(Errno) {
        process = try ChildProcess(
          program: words[0], arguments: Array(words.dropFirst()), standardError: .standardError, inheriting: [])
      } catch {
        throw CaptureError.cannotStart(program: words[0], errno: error.rawValue)
      }
      var end = RequestedEnd()
      while !process.hasEnded() {
        wait(for: [process.exitDescriptor.descriptor, signals.descriptor.descriptor] + recorder.descriptors)
        try recorder.drain()
        tell()
        if let signal = signals.next() { end.ask(signal) }
        end.carryOut(on: process)
      }
      return process.end
    case .process(let processID):
      while signals.next() == nil, kill(processID, 0) == 0 {
        wait(for: [signals.descriptor.descriptor] + recorder.descriptors)
        try recorder.drain()
        tell()
      }
    case .system:
      while signals.next() == nil {
        wait(for: [signals.descriptor.descriptor] + recorder.descriptors)
        try recorder.drain()
        tell()
      }
    }
    return nil
  }

  private func wait(for descriptors: [FileDescriptor]) {
    var waits = descriptors.map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
    waitForAny(&waits, until: .now + Self.interval)
  }
}
