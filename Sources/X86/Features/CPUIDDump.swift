extension CPUID {
  /// Reads the output of `cpuid -r` (Todd Allen's cpuid), of the first processor in it.
  ///
  /// Its lines are `   0x00000007 0x00: eax=0x00000000 ebx=0x... ecx=0x... edx=0x...` under `CPU 0:` or `CPU:`. Nil where
  /// there is no such line; other lines are passed over. What the dump does not have is not known to be absent.
  public init?(dump text: String) {
    var entries: [Entry] = []
    for line in text.split(whereSeparator: { $0.isNewline }) {
      if line.hasPrefix("CPU"), !entries.isEmpty { break }
      if let entry = Self.entry(line) { entries.append(entry) }
    }
    guard !entries.isEmpty else { return nil }
    self.init(entries: entries, isComplete: false)
  }

  private static func entry(_ line: Substring) -> Entry? {
    let words = line.split(separator: " ")
    guard words.count == 6, words[1].last == ":", let leaf = number(words[0]), let subleaf = number(words[1].dropLast())
    else { return nil }
    var registers: [UInt32] = []
    for (word, name) in zip(words[2...], ["eax=", "ebx=", "ecx=", "edx="]) {
      guard word.hasPrefix(name), let value = number(word.dropFirst(4)) else { return nil }
      registers.append(value)
    }
    return Entry(
      leaf: leaf, subleaf: subleaf, eax: registers[0], ebx: registers[1], ecx: registers[2], edx: registers[3])
  }

  private static func number(_ text: Substring) -> UInt32? {
    text.hasPrefix("0x") ? UInt32(text.dropFirst(2), radix: 16) : nil
  }
}
