import Glibc
import SystemPackage

/// The processes of this host, as far as they can be seen, and who started whom.
struct ProcessTree {
  private let children: [Int32: [Int32]]

  init() {
    var children: [Int32: [Int32]] = [:]
    for name in directoryEntries("/proc") {
      guard let process = Int32(name), let parent = Self.parent(of: process) else { continue }
      children[parent, default: []].append(process)
    }
    self.children = children
  }

  /// `PID (NAME) STATE PPID …`; the name may hold blanks and parentheses (proc(5)).
  private static func parent(of process: Int32) -> Int32? {
    guard let text = try? wholeText(FilePath("/proc/\(process)/stat")), let end = text.lastIndex(of: ")") else {
      return nil
    }
    let fields = text[end...].dropFirst().split(separator: " ")
    return fields.count > 1 ? Int32(fields[1]) : nil
  }

  /// The QEMUs below a process that this program did not start itself.
  func strangeQEMUs(below root: Int32) -> [Int32] {
    let own = Self.executable(of: getpid())
    var found: [Int32] = []
    var pending = [root]
    // Each process has one parent, so each is met once.
    while let parent = pending.popLast() {
      let isOwn = Self.executable(of: parent) == own
      for child in children[parent] ?? [] {
        pending.append(child)
        let name = Self.executable(of: child)?.split(separator: "/").last
        if !isOwn, name?.hasPrefix("qemu-system-") == true { found.append(child) }
      }
    }
    // A front end may become QEMU itself.
    if Self.executable(of: root)?.split(separator: "/").last?.hasPrefix("qemu-system-") == true { found.append(root) }
    return found
  }

  private static func executable(of process: Int32) -> String? {
    var target = [UInt8](repeating: 0, count: 4096)
    // The kernel writes into the array's own storage, at most its count.
    let count = unsafe target.withUnsafeMutableBytes { bytes -> Int in
      guard let start = bytes.baseAddress else { return 0 }
      return unsafe readlink("/proc/\(process)/exe", start, bytes.count)
    }
    return count > 0 ? String(decoding: target[..<count], as: UTF8.self) : nil
  }
}
