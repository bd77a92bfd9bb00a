import CLinux
import Dispatch
import Glibc
public import SystemPackage

/// A private folder that stands first in the PATH of a front end (`make qemu`, `cargo run`, a script) and has a link to this
/// program for each QEMU that is installed: whoever starts QEMU by its name starts Inquest, which runs the real one.
///
/// So QEMU is Inquest's own child, with all that goes with it, and nothing has to get through make, cargo and shells but
/// the environment. A QEMU that is started by its path, or through sudo, which has a PATH of its own, is not met.
///
/// A second process removes the folder when this one ends, however it ends.
public final class FrontEndFolder {
  /// Names the folder to the Inquest that is started in QEMU's place.
  public static let variable = "INQUEST_FRONT_END"
  /// The programs that are stood in for; others than x86's are none of Inquest's business.
  public static let programs = ["qemu-system-x86_64", "qemu-system-i386", "qemu-kvm", "kvm"]
  /// In which the Inquests that ran a QEMU write their exit statuses, a line each.
  private static let statusFile = "status"

  public var path: FilePath { folder.path }
  private let folder: PrivateFolder

  /// - Parameter executable: This program.
  public init(executable: FilePath) throws(CaptureError) {
    do throws(Errno) {
      folder = try PrivateFolder(for: Self.programs + [Self.statusFile])
    } catch {
      throw .system(doing: "making a private folder", errno: error.rawValue)
    }
    for program in Self.programs where Self.find(program, in: Self.searchPath) != nil {
      guard unsafe symlink(executable.string, path.appending(program).string) == 0 else {
        throw .system(doing: "making a link in \(path)", errno: errno)
      }
    }
  }

  private static var searchPath: String {
    unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
  }

  /// The PATH with this folder first.
  public var searchPath: String { "\(path.string):\(Self.searchPath)" }

  /// The exit statuses of the Inquests that ran a QEMU; empty where none did.
  public var statuses: [Int32] {
    let text = (try? wholeText(path.appending(Self.statusFile))) ?? ""
    return text.split(separator: "\n").compactMap { Int32($0) }
  }

  // MARK: In QEMU's place

  /// Where a program is that is called by its name, passing over links of this kind.
  public static func find(_ program: String, besides folder: String) -> String? {
    find(program, in: searchPath.split(separator: ":").filter { $0 != folder }.joined(separator: ":"))
  }

  private static func find(_ program: String, in searchPath: String) -> String? {
    searchPath.split(separator: ":").map { "\($0)/\(program)" }.first { unsafe access($0, X_OK) == 0 }
  }

  /// Tells the front end's Inquest how a run ended.
  public static func report(_ status: Int32, in folder: String) {
    let path = FilePath(folder).appending(statusFile)
    let file = try? OwnedDescriptor {
      try .open(path, .writeOnly, options: [.create, .append, .closeOnExec], permissions: .ownerReadWrite)
    }
    _ = try? file?.descriptor.writeAll(Array("\(status)\n".utf8))
  }

  /// Ends this process as SIGTERM would when another one ends: a killed front end takes no QEMU with it by itself.
  public static func endWithProcess(_ processID: Int32) {
    guard let process = try? OwnedDescriptor(checking: clinux_pidfd_open(processID)) else { return }
    let watched = WatchedProcess(process)
    watched.startThread()
  }
}

/// A process whose end a thread of its own waits for.
private final class WatchedProcess: @unchecked Sendable {
  // Sendable: one thread alone uses it.
  private let descriptor: OwnedDescriptor

  init(_ descriptor: OwnedDescriptor) { self.descriptor = descriptor }

  func startThread() {
    DispatchQueue.global().async {
      _ = self.descriptor.descriptor.waitUntil(.readable, nil)
      kill(getpid(), SIGTERM)
    }
  }
}
