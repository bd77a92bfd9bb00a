import Glibc
import SystemPackage

/// A process that removes something when this process ends, however it ends, or lets go of it.
final class Guardian {
  private let process: Int32
  private var pipe: OwnedDescriptor?

  /// - Parameter start: Starts the process, which is to wait until the other end of the pipe is closed; gives its ID, or -1
  ///   with errno set.
  init(_ start: (_ pipe: CInt) -> Int32) throws(Errno) {
    let ends = try makePipe()
    pipe = ends.writing
    process = start(ends.reading.descriptor.rawValue)
    guard process > 0 else { throw Errno(rawValue: errno) }
  }

  /// Waits until everything is removed.
  deinit {
    pipe = nil
    var status: CInt = 0
    // waitpid fills one integer.
    while unsafe waitpid(process, &status, 0) < 0, errno == EINTR { continue }
  }
}
