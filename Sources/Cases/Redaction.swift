import Files
import Glibc

/// What names a user, a host or a network, and is replaced: user names and home folders, host names, IP addresses.
///
/// A name is replaced by as many `x`, so that nothing in a binary file moves; an address in a text by `0.0.0.0` or `::`.
/// Names that many machines share (`root`, `localhost`) and addresses of the loopback say nothing and stay.
public struct Redaction: Sendable {
  private let names: [[UInt8]]

  private static let common: Set<String> = ["root", "nobody", "user", "localhost", "localdomain", "(none)"]

  /// - Parameters:
  ///   - users: user names.
  ///   - hosts: host names, with their domain or without.
  public init(users: [String], hosts: [String]) {
    let labels = hosts + hosts.compactMap { $0.split(separator: ".").first.map(String.init) }
    let all = Set(users + labels).filter { $0.utf8.count > 1 && !Self.common.contains($0) }
    // A longer name may contain a shorter one.
    names = all.map { Array($0.utf8) }.sorted { $0.count > $1.count }
  }

  /// Of a text.
  public func redacted(_ text: [UInt8]) -> [UInt8] { Self.withoutAddresses(redactedInPlace(text)) }

  /// Of a binary file: names only, and nothing moves.
  public func redactedInPlace(_ bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    for name in names { Self.blot(name, in: &result) }
    for folder in Self.homes { Self.blotHomes(in: folder, &result) }
    return result
  }

  // MARK: Names

  private static let homes = ["/home/", "/Users/"].map { Array($0.utf8) }

  /// Overwrites a name wherever it stands as a word of its own.
  private static func blot(_ name: [UInt8], in bytes: inout [UInt8]) {
    var index = 0
    while let start = bytes.firstIndex(of: name, from: index) {
      let end = start + name.count
      let isWord = (start == 0 || !bytes[start - 1].isOfWord) && (end == bytes.count || !bytes[end].isOfWord)
      if isWord { for place in start..<end { bytes[place] = UInt8(ascii: "x") } }
      index = end
    }
  }

  /// Overwrites the name of every home folder, whoever it belongs to.
  private static func blotHomes(in folder: [UInt8], _ bytes: inout [UInt8]) {
    var index = 0
    while let start = bytes.firstIndex(of: folder, from: index) {
      index = start + folder.count
      while index < bytes.count, bytes[index].isOfWord || bytes[index] == UInt8(ascii: ".") || bytes[index] >= 0x80 {
        bytes[index] = UInt8(ascii: "x")
        index += 1
      }
    }
  }

  // MARK: Addresses

  private static func withoutAddresses(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
      guard text[index].isOfAddress else {
        result.append(text[index])
        index += 1
        continue
      }
      let end = text[index...].firstIndex { !$0.isOfAddress } ?? text.count
      // Part of a longer word, such as a symbol's name, is no address.
      let isPart = index > 0 && text[index - 1].isOfIdentifier && text[index].isOfIdentifier
      let goesOn = end < text.count && text[end].isOfIdentifier && text[end - 1].isOfIdentifier
      let isWhole = !isPart && !goesOn
      result += isWhole ? withoutAddress(text[index..<end]) : Array(text[index..<end])
      index = end
    }
    return result
  }

  /// A word of digits, dots and colons, its address replaced if it is one, with a port perhaps.
  private static func withoutAddress(_ word: ArraySlice<UInt8>) -> [UInt8] {
    let text = String(decoding: word, as: UTF8.self)
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(replacingIPv4)
    let replaced = parts.joined(separator: ":")
    if replaced != text { return Array(replaced.utf8) }
    guard text.contains("::") || parts.count == 8, text != "::", text != "::1", text.contains(where: \.isNumber),
      isIPv6(text)
    else { return Array(word) }
    return Array("::".utf8)
  }

  private static func replacingIPv4(_ text: Substring) -> String {
    var address = text
    while address.last == "." { address = address.dropLast() }
    let numbers = address.split(separator: ".", omittingEmptySubsequences: false)
    guard numbers.count == 4, numbers.allSatisfy({ UInt8($0) != nil }), numbers[0] != "127" else { return String(text) }
    return "0.0.0.0" + text.dropFirst(address.count)
  }

  private static func isIPv6(_ text: String) -> Bool {
    var address = in6_addr()
    // inet_pton fills the structure.
    return unsafe inet_pton(AF_INET6, text, &address) == 1
  }
}

extension UInt8 {
  /// Letters, digits and `_`.
  fileprivate var isOfIdentifier: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  /// The same and `-`, which names of users and hosts have, too.
  fileprivate var isOfWord: Bool { isOfIdentifier || self == UInt8(ascii: "-") }

  /// Hexadecimal digits, dots and colons.
  fileprivate var isOfAddress: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: ":"):
      true
    default: false
    }
  }
}
