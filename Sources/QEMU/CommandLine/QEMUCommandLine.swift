/// A QEMU command line: the program and its arguments as they were, and what they mean.
///
/// The arguments are kept word for word; everything else is a view. Meanings are those of QEMU 7.2
/// (`softmmu/vl.c: qemu_init`), which also hold for older and newer versions unless a comment says otherwise.
public struct QEMUCommandLine: Hashable, Sendable {
  /// The program as it was called, with its path if it had one.
  public var program: String
  /// The words after the program.
  public var arguments: [String]

  public init(program: String, arguments: [String]) {
    self.program = program
    self.arguments = arguments
  }

  /// The program's name without its path.
  public var programName: String { program.split(separator: "/").last.map(String.init) ?? program }

  /// One option with its argument, or one word that is no option: a disk image.
  public struct Option: Hashable, Sendable {
    /// The name without dashes, such as `cpu`; nil for a disk image.
    public var name: String?
    /// The option's argument; nil where it takes none or none is left.
    public var value: String?
    /// Which words of `arguments` these are.
    public var words: Range<Int>

    public init(name: String?, value: String?, words: Range<Int>) {
      self.name = name
      self.value = value
      self.words = words
    }

    /// The option as a person would write it: `-cpu Haswell,+pdpe1gb`.
    public var text: String {
      guard let name else { return value.map(shellQuoted) ?? "" }
      return value.map { "-\(name) \(shellQuoted($0))" } ?? "-\(name)"
    }
  }

  /// The options in order.
  ///
  /// QEMU takes `--option` for `-option`. Where QEMU does not say whether an option takes an argument because it is
  /// unknown here, a following word that does not begin with a dash is taken to be its argument.
  public var options: [Option] {
    var options: [Option] = []
    var index = arguments.startIndex
    while index < arguments.endIndex {
      let start = index
      let word = arguments[index]
      index += 1
      guard let name = optionName(of: word) else {
        options.append(Option(name: nil, value: word, words: start..<index))
        continue
      }
      var value: String?
      if index < arguments.endIndex, OptionTable.takesArgument(name) ?? !arguments[index].hasPrefix("-") {
        value = arguments[index]
        index += 1
      }
      options.append(Option(name: name, value: value, words: start..<index))
    }
    return options
  }

  /// The options called `name`, in order.
  public func options(named name: String) -> [Option] { options.filter { $0.name == name } }

  /// The argument of the last option called `name`: for most options the last one wins.
  public func value(of name: String) -> String? { options(named: name).last?.value }

  /// Whether an option called `name` is there.
  public func has(_ name: String) -> Bool { options.contains { $0.name == name } }

  /// The command line with more words at its end, where they win over earlier ones.
  public func adding(_ words: [String]) -> Self { Self(program: program, arguments: arguments + words) }

  /// The command line with `selection` (such as `Haswell,+pdpe1gb`) as the argument of its last `-cpu`, which is the
  /// one that counts, or with a `-cpu` added.
  public func replacingCPU(_ selection: String) -> Self {
    guard let last = options(named: "cpu").last else { return adding(["-cpu", selection]) }
    var copy = self
    copy.arguments.replaceSubrange(last.words, with: [arguments[last.words.lowerBound], selection])
    return copy
  }

  /// The command line as one line for a POSIX shell, quoted only where it must be.
  public var shellText: String { ([program] + arguments).map(shellQuoted).joined(separator: " ") }
}

/// The option's name in `word`, or nil where QEMU takes the word for a disk image.
func optionName(of word: String) -> String? {
  guard word.hasPrefix("-") else { return nil }
  let dashes = word.hasPrefix("--") ? 2 : 1
  return String(word.dropFirst(dashes))
}
