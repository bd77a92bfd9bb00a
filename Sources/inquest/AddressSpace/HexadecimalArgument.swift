import ArgumentParser

/// An address or a register on the command line: hexadecimal, with or without `0x`, and `_` or a backtick between digits.
struct HexadecimalArgument: ExpressibleByArgument {
  let value: UInt64

  init?(argument: String) {
    let digits = argument.lowercased().filter { $0 != "_" && $0 != "`" }
    guard let value = UInt64(digits.hasPrefix("0x") ? digits.dropFirst(2) : digits[...], radix: 16) else { return nil }
    self.value = value
  }
}
