import Glibc
import SystemPackage

extension FileDescriptor {
  enum Readiness {
    case readable
    case writable
  }

  /// Waits for the descriptor to become so, or to be closed by the other side; false where `deadline` comes first.
  func waitUntil(_ readiness: Readiness, _ deadline: ContinuousClock.Instant?) -> Bool {
    var wait = [pollfd(fd: rawValue, events: Int16(readiness == .readable ? POLLIN : POLLOUT), revents: 0)]
    waitForAny(&wait, until: deadline)
    return wait[0].revents != 0
  }
}

/// Waits until one of the descriptors is ready, or a signal comes; each `revents` tells what for.
///
/// - Parameter deadline: Nil waits without limit.
func waitForAny(_ waits: inout [pollfd], until deadline: ContinuousClock.Instant?) {
  // poll reads and fills the array's elements.
  _ = unsafe poll(&waits, nfds_t(waits.count), milliseconds(until: deadline))
}

private func milliseconds(until deadline: ContinuousClock.Instant?) -> CInt {
  guard let deadline else { return -1 }
  let left = (deadline - .now).components
  guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
  return CInt(min(left.seconds, 3600)) * 1000 + CInt(left.attoseconds / 1_000_000_000_000_000) + 1
}

extension OwnedDescriptor? {
  /// Reads what has arrived, in portions through `buffer`, but not for ever from a source that never stops; becomes nil
  /// at the source's end.
  mutating func drain(through buffer: inout [UInt8], _ take: (ArraySlice<UInt8>) -> Void) {
    for _ in 0..<64 {
      guard let open = self else { return }
      switch open.descriptor.readArrived(into: &buffer) {
      case .bytes(let bytes): take(bytes)
      case .nothingYet: return
      case .end: self = nil
      }
    }
  }
}
