/// `word` as a POSIX shell needs it: in single quotes where it holds anything but harmless characters.
public func shellQuoted(_ word: String) -> String {
  let harmless = word.utf8.allSatisfy { byte in
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-_=+,./:@%^".utf8.contains(byte)
    }
  }
  if harmless, !word.isEmpty { return word }
  var quoted = "'"
  for character in word {
    if character == "'" { quoted += "'\\''" } else { quoted.append(character) }
  }
  return quoted + "'"
}

/// The words of the first simple command on a line, as a POSIX shell would split it.
///
/// Nothing is expanded. The command ends at an unquoted `;`, `|`, `&`, parenthesis or comment; redirections are left
/// out. A quote that is not closed takes the rest of the line.
func shellWords(_ line: some StringProtocol) -> [String] {
  var splitter = ShellWordSplitter()
  for character in line where !splitter.take(character) { break }
  return splitter.finish()
}

private struct ShellWordSplitter {
  private enum Quote {
    case none
    case single
    case double
  }

  private var words: [String] = []
  private var word: String?
  private var quote = Quote.none
  private var isEscaped = false
  /// The next word is a redirection's file.
  private var dropsNextWord = false

  /// Takes one character; false where the command ends before it.
  mutating func take(_ character: Character) -> Bool {
    if isEscaped {
      isEscaped = false
      if quote == .double, character != "\"", character != "\\", character != "$", character != "`" { add("\\") }
      add(character)
      return true
    }
    switch quote {
    case .single: if character == "'" { quote = .none } else { add(character) }
    case .double: takeInDoubleQuotes(character)
    case .none: return takeUnquoted(character)
    }
    return true
  }

  mutating func finish() -> [String] {
    if isEscaped { add("\\") }
    endWord()
    return words
  }

  private mutating func takeInDoubleQuotes(_ character: Character) {
    switch character {
    case "\"": quote = .none
    case "\\": isEscaped = true
    default: add(character)
    }
  }

  private mutating func takeUnquoted(_ character: Character) -> Bool {
    switch character {
    case " ", "\t", "\r", "\r\n", "\n": endWord()
    case "'":
      quote = .single
      word = word ?? ""
    case "\"":
      quote = .double
      word = word ?? ""
    case "\\": isEscaped = true
    case ";", "|", "(", ")": return false
    case "&": return word == nil && dropsNextWord
    case "#": if word == nil { return false } else { add(character) }
    case "<", ">": startRedirection()
    default: add(character)
    }
    return true
  }

  /// `2>file`: the number belongs to the redirection.
  private mutating func startRedirection() {
    if let number = word, number.allSatisfy(\.isNumber) { word = nil }
    endWord()
    dropsNextWord = true
  }

  private mutating func add(_ character: Character) { word = (word ?? "") + String(character) }

  private mutating func endWord() {
    guard let word else { return }
    if !dropsNextWord { words.append(word) }
    dropsNextWord = false
    self.word = nil
  }
}
