import CLinux
import Glibc
import SystemPackage

/// How a process ended.
public enum ProcessEnd: Hashable, Sendable {
  case exited(status: Int32)
  case signalled(Int32)
}

/// A program that shares its parent's terminal, but for what is said otherwise.
///
/// swift-subprocess 1.0 closes every descriptor but the standard three, while QEMU is often given others (`-netdev
/// tap,fd=3`, `-kernel <(…)`) and Inquest passes its own; nor can it tie the child's life to its parent's. Hence the
/// call of our own.
final class ChildProcess {
  let processID: Int32
  /// Readable when the process has ended.
  let exitDescriptor: OwnedDescriptor
  /// Nil while the process runs.
  private(set) var end: ProcessEnd?

  /// Starts a program found along PATH.
  ///
  /// The calling thread must live as long as the process is wanted: the process gets SIGTERM when it ends.
  ///
  /// - Parameters:
  ///   - standardInput: Nil leaves it the caller's; so does `standardOutput`.
  ///   - holdsInterrupts: Whether Ctrl-C on the terminal is this process's alone: the child blocks SIGINT.
  init(
    program: String, arguments: [String], standardInput: FileDescriptor? = nil, standardOutput: FileDescriptor? = nil,
    standardError: FileDescriptor, inheriting: [FileDescriptor], holdsInterrupts: Bool = false
  ) throws(Errno) {
    let inherited = inheriting.map(\.rawValue)
    let standard = [standardInput, standardOutput, standardError].map { $0?.rawValue ?? -1 }
    // The C strings are this function's own and live until the call has returned; the child has its copy by then.
    var words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe words.forEach { unsafe free($0) } }
    let child = unsafe clinux_spawn(&words, standard, inherited, inherited.count, holdsInterrupts ? 1 : 0)
    guard child > 0 else { throw Errno(rawValue: errno) }
    processID = child
    do throws(Errno) {
      exitDescriptor = try OwnedDescriptor(checking: clinux_pidfd_open(child))
    } catch {
      kill(child, SIGKILL)
      var status: CInt = 0
      _ = unsafe waitpid(child, &status, 0)
      throw error
    }
  }

  /// Whether the process has ended; asks without waiting.
  func hasEnded() -> Bool {
    if end != nil { return true }
    var status: CInt = 0
    // waitpid fills one integer.
    guard unsafe waitpid(processID, &status, WNOHANG) == processID else { return false }
    // WIFSIGNALED and its kin are macros: the low seven bits are the signal, 0 for an exit.
    let signal = status & 0x7F
    end = signal == 0 ? .exited(status: status >> 8 & 0xFF) : .signalled(signal)
    return true
  }

  func send(_ signal: Int32) {
    if end == nil { kill(processID, signal) }
  }

  /// Never leaves a process behind: what still runs when the last reference goes is killed.
  deinit {
    guard !hasEnded() else { return }
    kill(processID, SIGKILL)
    var status: CInt = 0
    _ = unsafe waitpid(processID, &status, 0)
  }
}
