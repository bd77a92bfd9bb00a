/// Patterns in which `*` stands for any text and `?` for any one character.
public enum Glob {
  /// Whether the whole text is what the pattern describes.
  public static func matches(_ text: String, _ pattern: String) -> Bool {
    // Most patterns are names.
    guard pattern.utf8.contains(where: { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }) else {
      return text == pattern
    }
    let text = Array(text.utf8)
    let pattern = Array(pattern.utf8)
    var place = 0
    var patternPlace = 0
    /// The last star, and where the text stood then: what to go back to.
    var star: (pattern: Int, text: Int)?
    while place < text.count {
      if patternPlace < pattern.count, pattern[patternPlace] == UInt8(ascii: "*") {
        star = (patternPlace, place)
        patternPlace += 1
      } else if patternPlace < pattern.count,
        pattern[patternPlace] == UInt8(ascii: "?") || pattern[patternPlace] == text[place]
      {
        patternPlace += 1
        place += 1
      } else if let (starPlace, textPlace) = star {
        star = (starPlace, textPlace + 1)
        place = textPlace + 1
        patternPlace = starPlace + 1
      } else {
        return false
      }
    }
    return pattern[patternPlace...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
