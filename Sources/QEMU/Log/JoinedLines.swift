/// A dump whose lines became one, as chats and forms for one line make it of what is pasted into them.
enum JoinedLines {
  /// A dump of QEMU's has more, in any mode.
  private static let shortestDump = 400

  /// What begins a line in QEMU's messages and dumps, as far as a line of them can hold no other's.
  private static let beginnings: [[UInt8]] = [
    "KVM internal error", "KVM: entry failed", "extra data[", "emulation failure", "EAX=", "RAX=",
  ].map { Array($0.utf8) }

  /// The lines; nil for a line that is one already.
  static func parts(of line: LogLine) -> [LogLine]? {
    guard line.bytes.count >= shortestDump, holdsDump(line) else { return nil }
    var parts: [LogLine] = []
    var start = line.bytes.startIndex
    for index in line.bytes.indices.dropFirst() where Byte.isBlank(line.bytes[index - 1]) {
      guard beginnings.contains(where: { line.bytes[index...].starts(with: $0) }) else { continue }
      parts.append(LogLine(number: line.number, bytes: line.bytes[start..<index]))
      start = index
    }
    parts.append(LogLine(number: line.number, bytes: line.bytes[start...]))
    return parts
  }

  private static func holdsDump(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    return scanner.skip(past: "AX=") && scanner.skip(past: "IP=") && scanner.skip(past: "GDT=")
      && scanner.skip(past: "CR0=")
  }
}
