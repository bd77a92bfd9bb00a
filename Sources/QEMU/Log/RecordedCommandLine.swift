/// A command line that stood in a text.
public struct RecordedCommandLine: Hashable, Sendable {
  public var commandLine: QEMUCommandLine
  /// Whether lines were put together without a backslash saying so: a mailer or terminal seems to have broken the
  /// command line, and blanks may be missing or too many.
  public var isRejoined: Bool

  public init(commandLine: QEMUCommandLine, isRejoined: Bool = false) {
    self.commandLine = commandLine
    self.isRejoined = isRejoined
  }
}

/// Finds command lines that start QEMU: at a prompt, in a script, in libvirt's log.
struct CommandLineFinder {
  struct Found {
    var commandLine: RecordedCommandLine
    var lines: ClosedRange<Int>
  }

  /// How many lines without a backslash are joined at most.
  private static let mostRejoinedLines = 100
  /// A line shorter than this was hardly broken for its length.
  private static let leastBrokenLength = 60

  private var open: Open?

  private struct Open {
    var text: String
    var lines: ClosedRange<Int>
    var lastLine: LogLine
    var isContinued: Bool
    var rejoinedLines = 0

    var commandLine: QEMUCommandLine? {
      let words = shellWords(text)
      guard let program = words.first else { return nil }
      return QEMUCommandLine(program: program, arguments: Array(words.dropFirst()))
    }

    mutating func append(_ line: LogLine, separator: String) {
      let (text, isContinued) = withoutBackslash(line.bytes)
      self.text += separator + text
      self.isContinued = isContinued
      lines = lines.lowerBound...line.number
      lastLine = line
    }
  }

  /// Whether `line` belongs to a command line, and the command line that ended before it.
  mutating func take(_ line: LogLine) -> (isTaken: Bool, finished: Found?) {
    if open?.isContinued == true, !line.bytes.isEmpty {
      open?.append(line, separator: " ")
      return (true, nil)
    }
    if let start = programStart(in: line.bytes) {
      let finished = finish()
      let (text, isContinued) = withoutBackslash(line.bytes[start...])
      open = Open(text: text, lines: line.number...line.number, lastLine: line, isContinued: isContinued)
      return (true, finished)
    }
    if let separator = separatorOfBrokenLine(line) {
      open?.append(line, separator: separator)
      open?.rejoinedLines += 1
      return (true, nil)
    }
    return (false, finish())
  }

  /// The command line that the text's end ends.
  mutating func finish() -> Found? {
    guard let open else { return nil }
    self.open = nil
    guard let commandLine = open.commandLine, commandLine.options.contains(where: isKnown) else { return nil }
    return Found(
      commandLine: RecordedCommandLine(commandLine: commandLine, isRejoined: open.rejoinedLines > 0),
      lines: open.lines)
  }

  private func isKnown(_ option: QEMUCommandLine.Option) -> Bool {
    option.name.map { OptionTable.takesArgument($0) != nil } ?? false
  }

  /// What goes between the open command line and a line that seems to be the rest of it; nil where it does not.
  private func separatorOfBrokenLine(_ line: LogLine) -> String? {
    guard let open, open.rejoinedLines < Self.mostRejoinedLines, let first = firstWord(of: line.bytes) else {
      return nil
    }
    if isOptionWord(first) { return " " }
    guard let last = open.commandLine?.options.last else { return nil }
    if let name = last.name, last.value == nil, OptionTable.takesArgument(name) == true { return " " }
    let words = line.bytes.split(separator: UInt8(ascii: " "))
    let endsInsideWord = open.lastLine.bytes.last == UInt8(ascii: "-") || open.lastLine.bytes.last == UInt8(ascii: ",")
    let isLong = open.lastLine.bytes.count >= Self.leastBrokenLength
    if endsInsideWord || isLong, words.dropFirst().contains(where: isOptionWord) { return "" }
    return endsInsideWord && words.count == 1 ? "" : nil
  }
}

/// A line's text without the backslash at its end, and whether there was one.
private func withoutBackslash(_ bytes: ArraySlice<UInt8>) -> (text: String, isContinued: Bool) {
  guard bytes.last == Byte.backslash else { return (String(decoding: bytes, as: UTF8.self), false) }
  return (String(decoding: bytes.dropLast(), as: UTF8.self), true)
}

private func firstWord(of bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
  bytes.split(separator: UInt8(ascii: " "), maxSplits: 1).first
}

/// Whether a word is an option that QEMU has.
private func isOptionWord(_ word: ArraySlice<UInt8>) -> Bool {
  guard word.first == UInt8(ascii: "-") else { return false }
  return optionName(of: String(decoding: word, as: UTF8.self)).map { OptionTable.takesArgument($0) != nil } ?? false
}

/// Where in a line the word stands that starts QEMU: followed by an option, by a disk image and an option, or by a
/// backslash.
private func programStart(in bytes: ArraySlice<UInt8>) -> Int? {
  guard mentionsProgram(bytes) else { return nil }
  let words = bytes.split { Byte.isBlank($0) }
  for (index, word) in words.enumerated() where isProgram(word) {
    let next = words.dropFirst(index + 1)
    guard let follower = next.first else { continue }
    let isImage = follower.contains(UInt8(ascii: ".")) || follower.contains(UInt8(ascii: "/"))
    if isOptionWord(follower) || follower.elementsEqual([Byte.backslash]) { return word.startIndex }
    if isImage, next.contains(where: isOptionWord) { return word.startIndex }
  }
  return nil
}

/// Whether `qemu` or `kvm` occurs at all: a quick answer for most lines.
private func mentionsProgram(_ bytes: ArraySlice<UInt8>) -> Bool {
  for index in bytes.indices {
    let byte = bytes[index]
    guard byte == UInt8(ascii: "q") || byte == UInt8(ascii: "k") else { continue }
    var scanner = LineScanner(bytes[index...])
    if scanner.skip("qemu") || scanner.skip("kvm") { return true }
  }
  return false
}

private func isProgram(_ word: ArraySlice<UInt8>) -> Bool {
  let name = String(decoding: word.split(separator: UInt8(ascii: "/")).last ?? [], as: UTF8.self)
  guard name.utf8.last.map(Byte.isWord) ?? false else { return false }
  return name.hasPrefix("qemu-system-") || name == "qemu-kvm" || name == "kvm" || name == "qemu"
}
