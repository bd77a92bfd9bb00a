import CLinux
import Dispatch
import Glibc
public import SystemPackage

/// Does something before SIGINT, SIGTERM or SIGHUP ends this process, also while the thread that began the watch is
/// busy.
///
/// To be ended on the thread that began it.
public final class InterruptWatch {
  private let signals: InterruptSignals
  /// The watching thread ends when the writing end of its pipe is closed.
  private var end: OwnedDescriptor?
  private let hasEnded = DispatchSemaphore(value: 0)

  /// - Throws: What keeps signals from being watched for.
  public init(_ act: @escaping @Sendable () -> Void) throws(Errno) {
    signals = try InterruptSignals()
    let pipe = try makePipe()
    end = pipe.writing
    let pending = signals.descriptor.descriptor
    let hasEnded = hasEnded
    // The thread has the reading end for itself; the signals' descriptor is open until it has ended.
    let ending = PipeEnd(pipe.reading)
    DispatchQueue(label: "interrupt-watch").async {
      while ending.isOpen(waitingFor: pending) {
        guard let signal = InterruptSignals.next(from: pending) else { continue }
        act()
        Self.deliver(signal)
      }
      hasEnded.signal()
    }
  }

  /// Lets this process have the signal as if it had never been held back.
  private static func deliver(_ signal: Int32) {
    var mask = sigset_t()
    // The calls below fill and read a set that lives on this stack.
    unsafe sigemptyset(&mask)
    unsafe sigaddset(&mask, signal)
    unsafe pthread_sigmask(SIG_UNBLOCK, &mask, nil)
    raise(signal)
    unsafe pthread_sigmask(SIG_BLOCK, &mask, nil)
  }

  deinit {
    end = nil
    hasEnded.wait()
  }
}

/// The reading end of a pipe on which nothing is ever written.
private final class PipeEnd: @unchecked Sendable {
  // Sendable: one thread alone uses it.
  private let descriptor: OwnedDescriptor

  init(_ descriptor: OwnedDescriptor) { self.descriptor = descriptor }

  /// Waits until something can be read from `other`; false once the writing end is closed.
  func isOpen(waitingFor other: FileDescriptor) -> Bool {
    var waits = [descriptor.descriptor, other].map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
    waitForAny(&waits, until: nil)
    return waits[0].revents == 0
  }
}
