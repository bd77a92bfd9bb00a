import Glibc
import SystemPackage

/// Where a running QEMU listens.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// The path of a UNIX socket.
  case unix(String)
  /// A name or a number, IPv6 without brackets.
  case tcp(host: String, port: UInt16)

  /// `HOST:PORT`, `[HOST]:PORT`, `:PORT` of this host, or a path; `tcp:` and `unix:`, which QEMU's own options have in
  /// front, are understood. Options behind a comma are not part of an address.
  public init(_ text: String) {
    if text.hasPrefix("unix:") {
      self = .unix(String(text.dropFirst(5)))
    } else if let address = Self.hostAndPort(text.hasPrefix("tcp:") ? text.dropFirst(4) : text[...]) {
      self = address
    } else {
      self = .unix(text)
    }
  }

  private static func hostAndPort(_ text: Substring) -> SocketAddress? {
    guard !text.contains("/"), let colon = text.lastIndex(of: ":"),
      let port = UInt16(text[text.index(after: colon)...])
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return .tcp(host: host.isEmpty ? "localhost" : String(host), port: port)
  }

  public var description: String {
    switch self {
    case .unix(let path): path
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }
}

extension SocketAddress {
  /// A connected stream socket that is close-on-exec and does not block.
  func connect(until deadline: ContinuousClock.Instant) throws(Errno) -> OwnedDescriptor {
    var failure = Errno.addressNotAvailable
    for address in try kernelAddresses() {
      do throws(Errno) {
        return try address.connect(until: deadline)
      } catch {
        failure = error
      }
    }
    throw failure
  }

  /// The addresses as the kernel takes them: one path, or all that a name stands for.
  private func kernelAddresses() throws(Errno) -> [KernelAddress] {
    switch self {
    case .unix(let path):
      // sun_path has 108 bytes, of which one is kept for the zero at the end.
      guard !path.isEmpty, path.utf8.count < 108 else { throw .fileNameTooLong }
      // sun_family is a 16-bit number in the machine's order, which on x86 is little-endian.
      return [KernelAddress(family: AF_UNIX, bytes: [UInt8(AF_UNIX), 0] + path.utf8 + [0])]
    case .tcp(let host, let port): return KernelAddress.resolve(host, port)
    }
  }
}

/// A `struct sockaddr`.
private struct KernelAddress {
  var family: CInt
  var bytes: [UInt8]

  static func resolve(_ host: String, _ port: UInt16) -> [KernelAddress] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    // getaddrinfo makes the list, which lives until freeaddrinfo; what is kept of it is copied.
    guard unsafe getaddrinfo(host, String(port), &hints, &list) == 0 else { return [] }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [KernelAddress] = []
    var next = unsafe list
    while let entry = unsafe next {
      let bytes = unsafe UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen))
      unsafe addresses.append(KernelAddress(family: entry.pointee.ai_family, bytes: Array(bytes)))
      unsafe next = entry.pointee.ai_next
    }
    return addresses
  }

  func connect(until deadline: ContinuousClock.Instant) throws(Errno) -> OwnedDescriptor {
    let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
    let socket = try OwnedDescriptor(checking: Glibc.socket(family, type, 0))
    if family != AF_UNIX { Self.sendAtOnce(socket) }
    while true {
      // connect reads as many bytes as it is told there are.
      let result = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.connect(
          socket.descriptor.rawValue, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
      }
      if result == 0 { return socket }
      switch errno {
      case EINPROGRESS: return try finish(socket, until: deadline)
      // A UNIX socket whose queue of those who wait is full.
      case EAGAIN:
        guard deadline > .now else { throw .timedOut }
        usleep(20_000)
      default: throw Errno(rawValue: errno)
      }
    }
  }

  /// Has TCP send each request as it comes: one that waits for the acknowledgment of what was sent before takes 40 ms.
  private static func sendAtOnce(_ socket: OwnedDescriptor) {
    var isOn: CInt = 1
    // setsockopt reads one integer. Where it fails, all is slow and right.
    _ = unsafe setsockopt(
      socket.descriptor.rawValue, CInt(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<CInt>.size))
  }

  private func finish(_ socket: OwnedDescriptor, until deadline: ContinuousClock.Instant) throws(Errno)
    -> OwnedDescriptor
  {
    guard socket.descriptor.waitUntil(.writable, deadline) else { throw .timedOut }
    var failure: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    // getsockopt fills one integer.
    guard unsafe getsockopt(socket.descriptor.rawValue, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 else {
      throw Errno(rawValue: errno)
    }
    guard failure == 0 else { throw Errno(rawValue: failure) }
    return socket
  }
}
