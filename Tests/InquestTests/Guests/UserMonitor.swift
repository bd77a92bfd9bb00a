import Foundation

/// A QMP client of the user's own.
struct UserMonitor: ~Copyable {
  enum Failure: Error {
    case system(doing: String, errno: Int32)
    /// QEMU closed the connection.
    case closed
  }

  private let socket: Int32
  private var unread: [UInt8] = []

  /// Connects to the socket at `path`, and waits until QEMU makes it.
  init(path: String, of running: RunningCommand) async throws {
    socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard socket >= 0 else { throw Failure.system(doing: "socket", errno: errno) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // The path is shorter than the field (Folder), and a zero follows it.
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let socket = socket
    try await running.eventually("its monitor is there") {
      let result = unsafe withUnsafePointer(to: &address) { address in
        unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
          unsafe connect(socket, address, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      if result == 0 { return true }
      guard errno == ENOENT || errno == ECONNREFUSED else { throw Failure.system(doing: "connect", errno: errno) }
      return false
    }
  }

  deinit { close(socket) }

  /// - Parameter arguments: A JSON object.
  func send(_ command: String, arguments: String = "{}") throws {
    try type("{\"execute\": \"\(command)\", \"arguments\": \(arguments)}")
  }

  /// Sends a line as it is, as to a human monitor.
  func type(_ line: String) throws {
    let line = Array("\(line)\n".utf8)
    let sent = unsafe line.withUnsafeBytes { line in unsafe Glibc.send(socket, line.baseAddress, line.count, 0) }
    guard sent == line.count else { throw Failure.system(doing: "send", errno: errno) }
  }

  /// Waits for a line with `text` in it, and returns that line.
  mutating func awaitLine(_ text: String) async throws -> String {
    while true {
      while let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: unread[..<end], as: UTF8.self)
        unread.removeSubrange(...end)
        if line.contains(text) { return line }
      }
      try await receive()
    }
  }

  private mutating func receive() async throws {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe buffer.withUnsafeMutableBytes { buffer in
      unsafe recv(socket, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
    }
    if count == 0 { throw Failure.closed }
    if count > 0 {
      unread += buffer[..<count]
    } else if errno == EAGAIN {
      try await Task.sleep(for: .milliseconds(20))
    } else {
      throw Failure.system(doing: "recv", errno: errno)
    }
  }
}
