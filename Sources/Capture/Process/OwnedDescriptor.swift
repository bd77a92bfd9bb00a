import CLinux
import Glibc
import SystemPackage

/// A file descriptor that is closed with its last reference.
final class OwnedDescriptor {
  let descriptor: FileDescriptor

  /// Takes over `descriptor`.
  init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

  /// Takes over what a system call returned, or throws its error.
  init(checking result: CInt) throws(Errno) {
    guard result >= 0 else { throw Errno(rawValue: errno) }
    descriptor = FileDescriptor(rawValue: result)
  }

  /// What `body` opens.
  convenience init(opening body: () throws -> FileDescriptor) throws(Errno) {
    do { self.init(try body()) } catch { throw error as? Errno ?? .ioError }
  }

  deinit { try? descriptor.close() }
}

/// Two ends of a pipe, both close-on-exec; reading does not block.
func makePipe() throws(Errno) -> (reading: OwnedDescriptor, writing: OwnedDescriptor) {
  var ends: [CInt] = [-1, -1]
  // The call fills the two elements of the array.
  guard unsafe clinux_pipe(&ends) == 0 else { throw Errno(rawValue: errno) }
  let pipe = (
    reading: OwnedDescriptor(FileDescriptor(rawValue: ends[0])),
    writing: OwnedDescriptor(FileDescriptor(rawValue: ends[1]))
  )
  guard fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 else { throw Errno(rawValue: errno) }
  return pipe
}

/// Two connected stream sockets, both close-on-exec; `ours` does not block.
func makeSocketPair() throws(Errno) -> (ours: OwnedDescriptor, theirs: OwnedDescriptor) {
  var ends: [CInt] = [-1, -1]
  let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
  // socketpair fills the two elements of the array.
  guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw Errno(rawValue: errno) }
  let pair = (
    ours: OwnedDescriptor(FileDescriptor(rawValue: ends[0])),
    theirs: OwnedDescriptor(FileDescriptor(rawValue: ends[1]))
  )
  guard fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 else { throw Errno(rawValue: errno) }
  return pair
}

extension FileDescriptor {
  /// What a read that does not wait gave.
  enum Arrival {
    case bytes(ArraySlice<UInt8>)
    case nothingYet
    case end
  }

  /// Reads what has arrived, at most `buffer.count` bytes of it.
  func readArrived(into buffer: inout [UInt8]) -> Arrival {
    do {
      // The kernel writes into the array's own storage, at most its count.
      let count = unsafe try buffer.withUnsafeMutableBytes { bytes in unsafe try self.read(into: bytes) }
      return count == 0 ? .end : .bytes(buffer[..<count])
    } catch let error as Errno where error == .wouldBlock || error == .resourceTemporarilyUnavailable {
      return .nothingYet
    } catch {
      // A socket whose peer ended with unread data says ECONNRESET: the end as well.
      return .end
    }
  }

  /// Sends bytes over a socket; false, with errno set, where the kernel does not take them all at once.
  func sendWhole(_ bytes: [UInt8]) -> Bool {
    // The array's storage is read during the call.
    let sent = unsafe bytes.withUnsafeBytes {
      unsafe send(rawValue, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
    }
    if sent >= 0, sent < bytes.count { errno = EAGAIN }
    return sent == bytes.count
  }
}
