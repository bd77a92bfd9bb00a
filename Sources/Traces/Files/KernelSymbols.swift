import Synchronization

/// The recorded /proc/kallsyms. Read when the first address is looked up: most traces never ask.
public final class KernelSymbols: Sendable {
  private struct Symbol {
    var address: UInt64
    /// Where the name lies in the text.
    var name: Range<Int>
  }

  private struct Table {
    var text: [UInt8]
    var symbols: [Symbol]
  }

  private let load: @Sendable () throws(TraceFileError) -> [UInt8]
  private let table = Mutex<Table?>(nil)

  init(_ load: @escaping @Sendable () throws(TraceFileError) -> [UInt8]) { self.load = load }

  /// No symbols.
  public static let none = KernelSymbols { [] }

  /// The function or object that contains the address, and how far into it the address lies; nil if there is none
  /// before it or the table cannot be read.
  public func symbol(at address: UInt64) -> (name: String, offset: UInt64)? {
    table.withLock { table in
      let loaded = table ?? Self.parse((try? load()) ?? [])
      table = loaded
      var low = 0
      var high = loaded.symbols.count
      while low < high {
        let middle = (low + high) / 2
        if loaded.symbols[middle].address <= address { low = middle + 1 } else { high = middle }
      }
      guard low > 0 else { return nil }
      let symbol = loaded.symbols[low - 1]
      return (String(decoding: loaded.text[symbol.name], as: UTF8.self), address - symbol.address)
    }
  }

  /// The text as recorded: lines `ADDRESS TYPE NAME[<TAB>[MODULE]]`.
  public func text() throws(TraceFileError) -> [UInt8] { try load() }

  private static func parse(_ text: [UInt8]) -> Table {
    var symbols: [Symbol] = []
    var cursor = TextCursor(text.span)
    while !cursor.isAtEnd {
      let address = cursor.takeHexadecimal()
      cursor.skipBlanks()
      _ = cursor.takeWord()
      cursor.skipBlanks()
      let start = cursor.offset
      while let byte = cursor.next, !byte.isBlank, byte != UInt8(ascii: "\n") { cursor.skipByte() }
      if let address, address != 0, cursor.offset > start {
        symbols.append(Symbol(address: address, name: start..<cursor.offset))
      }
      if !cursor.skip(upTo: UInt8(ascii: "\n")) { break }
      cursor.skipByte()
    }
    symbols.sort { $0.address < $1.address }
    return Table(text: text, symbols: symbols)
  }
}
