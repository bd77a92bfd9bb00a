import CLinux
import Glibc
import SystemPackage

/// SIGINT, SIGTERM and SIGHUP of this process, delivered through a descriptor instead of ending it; those that the process
/// ignores stay ignored.
///
/// The signals are blocked for the calling thread and for threads it starts afterwards. A thread that already runs
/// may still receive one and end the process, which ends QEMU too.
final class InterruptSignals {
  /// Readable when a signal is pending.
  let descriptor: OwnedDescriptor
  /// The calling thread's mask before.
  private let maskBefore: sigset_t
  private let mask: sigset_t

  init() throws(Errno) {
    var mask = sigset_t()
    var before = sigset_t()
    // The calls below read and fill sets that live on this stack.
    unsafe sigemptyset(&mask)
    for signal in [SIGINT, SIGTERM, SIGHUP] where clinux_ignores(signal) == 0 { unsafe sigaddset(&mask, signal) }
    unsafe pthread_sigmask(SIG_BLOCK, &mask, &before)
    self.mask = mask
    maskBefore = before
    do throws(Errno) {
      descriptor = try OwnedDescriptor(checking: unsafe clinux_signalfd(&mask))
    } catch {
      unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
      throw error
    }
  }

  /// The next pending signal; nil if there is none.
  func next() -> Int32? { Self.next(from: descriptor.descriptor) }

  static func next(from descriptor: FileDescriptor) -> Int32? {
    // struct signalfd_siginfo has 128 bytes and begins with the signal's number.
    var record = [UInt8](repeating: 0, count: 128)
    guard case .bytes(let bytes) = descriptor.readArrived(into: &record), bytes.count == 128 else {
      return nil
    }
    return Int32(bytes[0])
  }

  /// Runs `body` with the signals as they were, so that Ctrl-C can end a long computation.
  func unblocked<Result>(_ body: () -> Result) -> Result {
    setMask(maskBefore)
    defer { setMask(mask, adding: true) }
    return body()
  }

  private func setMask(_ mask: sigset_t, adding: Bool = false) {
    var mask = mask
    unsafe pthread_sigmask(adding ? SIG_BLOCK : SIG_SETMASK, &mask, nil)
  }

  deinit { setMask(maskBefore) }
}
