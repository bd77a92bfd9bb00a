import CLinux
import Glibc
import SystemPackage

/// A QEMU process of this host, whose memory may be looked into.
struct QEMUProcess {
  let processID: Int32

  init(processID: Int32) { self.processID = processID }

  /// The process that listens at the other end of a UNIX socket; nil for another kind of socket, and for a process that
  /// does not run these vCPU threads: the socket may have been made by another process than QEMU, and in another
  /// process namespace numbers have another meaning.
  init?(peerOf socket: FileDescriptor, vcpuThreads: [Int32]) {
    let peer = clinux_peer_process(socket.rawValue)
    guard peer > 0, !vcpuThreads.isEmpty else { return nil }
    let threads = Set(directoryEntries(FilePath("/proc/\(peer)/task")))
    guard vcpuThreads.allSatisfy({ threads.contains(String($0)) }) else { return nil }
    processID = peer
  }

  /// Its mappings, by ascending address; none where they may not be read.
  var mappings: [ProcessMapping] {
    guard let text = try? wholeText(FilePath("/proc/\(processID)/maps")) else { return [] }
    return text.split(separator: "\n").compactMap(ProcessMapping.init)
  }

  /// Its threads by the numbers that they have for themselves: in a container others than outside. The last of `NSpid` in
  /// `/proc/PID/task/TID/status` is the innermost (proc(5)).
  var threadsAsItSeesThem: Set<Int32> {
    let folder = "/proc/\(processID)/task"
    let numbers = directoryEntries(FilePath(folder)).compactMap { thread -> Int32? in
      let status = (try? wholeText(FilePath("\(folder)/\(thread)/status"))) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("NSpid:") }
      return line?.split(separator: "\t").last.flatMap { Int32($0) } ?? Int32(thread)
    }
    return Set(numbers)
  }

  /// The file of this process that `mapping` shows, opened for reading; nil where none of its descriptors is that file
  /// or it may not be opened.
  func openFile(of mapping: ProcessMapping) -> OwnedDescriptor? {
    let folder = "/proc/\(processID)/fd"
    for name in directoryEntries(FilePath(folder)) {
      let path = "\(folder)/\(name)"
      // Only a regular file is opened: to open a device or a pipe may do something.
      guard mapping.isOf(FileIdentity(path: path)) else { continue }
      guard let file = try? OwnedDescriptor(opening: { try .open(FilePath(path), .readOnly, options: .closeOnExec) }),
        mapping.isOf(FileIdentity(descriptor: file.descriptor))
      else { continue }
      return file
    }
    return nil
  }
}

/// Which file it is, if it is a regular one.
struct FileIdentity: Hashable {
  var device: UInt
  var inode: UInt

  init(device: UInt, inode: UInt) {
    self.device = device
    self.inode = inode
  }

  init?(path: String) {
    var status = stat()
    // stat fills one structure.
    guard unsafe stat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  init?(descriptor: FileDescriptor) {
    var status = stat()
    // fstat fills one structure.
    guard unsafe fstat(descriptor.rawValue, &status) == 0 else { return nil }
    self.init(status)
  }

  /// How many bytes a file has.
  static func size(of descriptor: FileDescriptor) -> Int? {
    var status = stat()
    // fstat fills one structure.
    guard unsafe fstat(descriptor.rawValue, &status) == 0 else { return nil }
    return Int(status.st_size)
  }

  private init?(_ status: stat) {
    guard status.st_mode & S_IFMT == S_IFREG else { return nil }
    self.init(device: status.st_dev, inode: status.st_ino)
  }
}

/// One line of `/proc/PID/maps`:
///
///     7f06c3fff000-7f06c7fff000 rw-s 00000000 00:01 2061      /memfd:memory-backend-memfd (deleted)
struct ProcessMapping: Hashable {
  /// Where in the process, `end` not included.
  var start: UInt64
  var end: UInt64
  /// Whether the process may read it.
  var isReadable: Bool
  /// Whether others that map the file see what is written here.
  var isShared: Bool
  /// Where in the file `start` is.
  var offset: UInt64
  /// The file; nil for anonymous memory.
  var file: FileIdentity?

  init?(_ line: Substring) {
    let words = line.split(separator: " ", maxSplits: 5)
    guard words.count >= 5 else { return nil }
    let range = words[0].split(separator: "-")
    let device = words[3].split(separator: ":")
    guard range.count == 2, device.count == 2, words[1].count == 4,
      let start = UInt64(range[0], radix: 16), let end = UInt64(range[1], radix: 16), start < end,
      let offset = UInt64(words[2], radix: 16),
      let major = UInt32(device[0], radix: 16), let minor = UInt32(device[1], radix: 16),
      let inode = UInt(words[4])
    else { return nil }
    self.start = start
    self.end = end
    isReadable = words[1].hasPrefix("r")
    isShared = words[1].hasSuffix("s")
    self.offset = offset
    file = inode == 0 ? nil : FileIdentity(device: clinux_device_number(major, minor), inode: inode)
  }

  func isOf(_ file: FileIdentity?) -> Bool { file != nil && file == self.file }
}
