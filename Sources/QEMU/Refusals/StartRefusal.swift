/// Why QEMU did not start, from what it printed: in its own words, with the option that it stumbled over and a cure where one
/// is certain.
public struct StartRefusal: Hashable, Sendable {
  /// QEMU's reason, without the program's name and the option in front.
  public var reason: String
  /// The option as it was typed; nil where QEMU's words do not lead to one.
  public var option: String?
  /// What would let it start, in a sentence without its period; nil where that is not certain.
  public var cure: String?

  public init(reason: String, option: String? = nil, cure: String? = nil) {
    self.reason = reason
    self.option = option
    self.cure = cure
  }
}

extension StartRefusal {
  /// Reads what QEMU printed before it ended; nil where it printed nothing.
  ///
  /// The forms are those of QEMU 7.2, each looked at (Tests/QEMUTests/StartRefusalTests.swift has them); what is not known is
  /// taken word for word from the last line.
  public init?(standardError: String, of line: QEMUCommandLine) {
    let lines = standardError.split(whereSeparator: \.isNewline).map(String.init)
      .filter { !$0.contains(": warning: ") && !$0.hasPrefix("WARNING: ") }
    let messages = RefusalMessages(lines: lines, commandLine: line)
    guard let refusal = messages.known ?? messages.general else { return nil }
    self = refusal
  }
}

/// QEMU's last lines, and how they are read.
struct RefusalMessages {
  let lines: [String]
  let commandLine: QEMUCommandLine

  /// The last line that says what is wrong, whatever it is: QEMU puts its name and the option before the reason
  /// (util/qemu-error.c: error_print_loc, 7.2).
  var general: StartRefusal? {
    guard let line = lines.last(where: { $0.hasPrefix("qemu") }) ?? lines.last else { return nil }
    return split(line)
  }

  /// A line as the option that it is about and the reason.
  func split(_ line: String) -> StartRefusal {
    let words = withoutProgram(line)
    for option in commandLine.options.reversed() {
      // The location is the words as they were typed, with a blank between them.
      let typed = commandLine.arguments[option.words].joined(separator: " ")
      if option.name != nil, words.hasPrefix("\(typed): ") {
        return StartRefusal(reason: String(words.dropFirst(typed.count + 2)), option: option.text)
      }
    }
    return StartRefusal(reason: words)
  }

  private func withoutProgram(_ line: String) -> String {
    guard line.hasPrefix("qemu"), let colon = line.firstRange(of: ": ") else { return line }
    return String(line[colon.upperBound...])
  }

  /// The last option of one of these names, as it was typed.
  func option(_ names: String...) -> String? {
    commandLine.options.last { option in option.name.map(names.contains) ?? false }?.text
  }

  /// The option whose argument names `file`.
  func option(naming file: String) -> String? {
    commandLine.options.last { $0.value?.contains(file) ?? false }?.text
  }
}
