import Synchronization

/// The symbols of an image in the order of their addresses.
struct SymbolTable: Sendable {
  private let sections: [Int: ELFFile.Section]
  private let symbols: [ELFFile.RawSymbol]
  /// For each symbol the highest end of itself and those before it, which tells a search backwards when to stop.
  private let ends: [UInt64]

  init(_ file: ELFFile) {
    let (sections, symbols) = file.symbols()
    self.sections = sections
    self.symbols = symbols.sorted(by: Self.precedes)
    var highest: UInt64 = 0
    ends = self.symbols.map { symbol in
      highest = max(highest, symbol.end)
      return highest
    }
  }

  /// The innermost symbol whose bytes hold `address`; failing that, the last label before it in the same section.
  ///
  /// A label counts only if no sized symbol ends between it and the address: past such an end, the bytes may belong to
  /// nobody (elfutils' `dwfl_module_addrsym` has the same rule).
  func symbol(containing address: UInt64) -> ELFFile.RawSymbol? {
    var index = count(upTo: address)
    while index > 0, ends[index - 1] > address {
      index -= 1
      if symbols[index].size > 0, symbols[index].end > address { return symbols[index] }
    }
    return label(before: address)
  }

  /// The last symbol that starts at or before `address` in the section that holds it, wherever the symbol ends.
  func symbol(atOrBefore address: UInt64) -> ELFFile.RawSymbol? {
    index(atOrBefore: address).map { symbols[$0] }
  }

  private func label(before address: UInt64) -> ELFFile.RawSymbol? {
    guard let index = index(atOrBefore: address) else { return nil }
    let symbol = symbols[index]
    return symbol.size == 0 && ends[index] <= symbol.start ? symbol : nil
  }

  private func index(atOrBefore address: UInt64) -> Int? {
    var index = count(upTo: address)
    while index > 0 {
      index -= 1
      let symbol = symbols[index]
      guard let section = sections[symbol.section], address &- section.start < section.size else { continue }
      return symbol.start >= section.start ? index : nil
    }
    return nil
  }

  /// How many symbols start at or before `address`.
  private func count(upTo address: UInt64) -> Int {
    var low = 0
    var high = symbols.count
    while low < high {
      let middle = (low + high) / 2
      if symbols[middle].start <= address { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// By start; of those with the same, the better name last: the smaller, then global before weak before local.
  private static func precedes(_ a: ELFFile.RawSymbol, _ b: ELFFile.RawSymbol) -> Bool {
    if a.start != b.start { return a.start < b.start }
    if a.size != b.size { return b.size != 0 && (a.size == 0 || a.size > b.size) }
    return a.bindingRank < b.bindingRank
  }
}

extension ELFFile.RawSymbol {
  /// The first address behind the symbol, at most the highest there is.
  fileprivate var end: UInt64 {
    let (end, overflows) = start.addingReportingOverflow(size)
    return overflows ? .max : end
  }

  /// STB_GLOBAL is 1, STB_WEAK 2, STB_LOCAL 0.
  fileprivate var bindingRank: Int {
    switch binding {
    case 1: 2
    case 2: 1
    default: 0
    }
  }
}

/// A symbol table that is read when first asked for: a kernel's has a hundred thousand entries, and many verdicts need
/// none of them.
final class SymbolTableOnDemand: Sendable {
  private let file: ELFFile
  private let table = Mutex<SymbolTable?>(nil)

  init(_ file: ELFFile) { self.file = file }

  var value: SymbolTable {
    table.withLock { table in
      if let table { return table }
      let read = SymbolTable(file)
      table = read
      return read
    }
  }
}
