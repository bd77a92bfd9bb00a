import Glibc
import SystemPackage

/// The text of a file of procfs, sysfs or tracefs; at most 1 MiB of it.
func wholeText(_ path: FilePath) throws -> String {
  String(decoding: try wholeFile(path, limit: 1 << 20), as: UTF8.self)
}

/// The content of a file of procfs, sysfs or tracefs, which say no size beforehand; about `limit` bytes of it.
func wholeFile(_ path: FilePath, limit: Int = 1 << 28) throws -> [UInt8] {
  let file = try OwnedDescriptor { try .open(path, .readOnly, options: .closeOnExec) }
  var text: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while text.count < limit {
    // The kernel writes into the array's own storage.
    let count = unsafe try buffer.withUnsafeMutableBytes { unsafe try file.descriptor.read(into: $0) }
    if count == 0 { break }
    text += buffer[..<count]
  }
  return text
}

/// Writes a line to a file of tracefs, which takes what is appended as a request.
func appendLine(_ text: String, to path: FilePath) throws(Errno) {
  let file = try OwnedDescriptor { try .open(path, .writeOnly, options: [.append, .closeOnExec]) }
  do { _ = try file.descriptor.writeAll(Array("\(text)\n".utf8)) } catch { throw error as? Errno ?? .ioError }
}

/// The names in a directory but `.` and `..`; none where it cannot be read.
func directoryEntries(_ path: FilePath) -> [String] {
  guard let directory = unsafe opendir(path.string) else { return [] }
  defer { unsafe closedir(directory) }
  var names: [String] = []
  // An entry is valid until the next readdir; its name is copied at once.
  while let entry = unsafe readdir(directory) {
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
      unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names
}

/// The sentence for an errno.
func systemError(_ code: Int32) -> String { Errno(rawValue: code).description }
