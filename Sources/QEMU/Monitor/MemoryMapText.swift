import X86

extension MemoryMap {
  /// The map in the form of the monitor's `info mtree -f`, which ``init(monitorText:)`` reads.
  public var monitorText: String {
    "FlatView #0\n AS \"memory\", root: system\n Root memory region: system\n"
      + ranges.map { "  \($0.monitorText)\n" }.joined()
  }
}

extension MemoryMap.Range {
  fileprivate var monitorText: String {
    let place = offset == 0 ? "" : " @\(sixteenDigits(offset))"
    return "\(sixteenDigits(first.rawValue))-\(sixteenDigits(last.rawValue)) (prio 0, \(kind.word)): \(name)\(place)"
  }

  private func sixteenDigits(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}

extension MemoryMap.Kind {
  fileprivate var word: String {
    switch self {
    case .ram: "ram"
    case .rom: "rom"
    case .device: "i/o"
    }
  }
}
