public import Investigation
public import X86

/// An address space as `inquest map` shows it: a line a range, as they come, and the trouble behind them.
public struct MapReport {
  public enum Format: Sendable {
    case text(usesColour: Bool)
    case json
  }

  public let format: Format
  /// Whether the holes between the ranges are shown.
  public var showsHoles = true
  /// Of which table the memory types are; see ``PageAttributeTable``.
  public var memoryTypes = PageAttributeTable.reset
  private var last: MappedRange?
  private var isFirst = true

  public init(_ format: Format) { self.format = format }

  // MARK: The parts, in order

  /// What stands before the ranges.
  ///
  /// - Parameter registers: Where the registers came from.
  public func head(_ paging: Paging, registers: String) -> String {
    switch format {
    case .json:
      let head = MapHead(mode: paging.mode.name, cr3: paging.cr3.hexadecimal, registers: registers)
      return jsonText(of: head, isPretty: false).dropLast() + ",\"ranges\":[\n"
    case .text(let usesColour):
      var page = Page(usesColour: usesColour)
      page.item("", "\(paging.mode.name), CR3 \(paging.cr3.hexadecimal)", note: registers)
      page.line("")
      page.line(MapReport.titles)
      return page.text
    }
  }

  /// The next range, with the hole before it.
  public mutating func lines(_ range: MappedRange) -> String {
    defer {
      last = range
      isFirst = false
    }
    switch format {
    case .json: return (isFirst ? "" : ",\n") + jsonText(of: RangeDocument(range, memoryTypes), isPretty: false)
    case .text: return hole(before: range) + text(of: range) + "\n"
    }
  }

  /// What stands behind the ranges.
  public func tail(_ survey: AddressSpaceSurvey) -> String {
    switch format {
    case .json: return "\n],\n" + jsonText(of: MapTail(survey), isPretty: false).dropFirst() + "\n"
    case .text(let usesColour): return troubles(survey, Page(usesColour: usesColour))
    }
  }

  // MARK: Text

  private static let titles =
    padded("linear addresses", to: 36) + padded("size", to: 10, onLeft: true) + padded("pages", to: 7, onLeft: true)
    + "  rights  type  physical address"

  private func text(of range: MappedRange) -> String {
    let note = range.isThroughSelfMap ? "  (tables, through a self-map)" : ""
    return padded(addresses(range), to: 36) + padded(sizeInWords(range.size), to: 10, onLeft: true)
      + padded(sizeInWords(range.pageSize), to: 7, onLeft: true) + "  " + padded(range.letters, to: 6) + "  "
      + padded(memoryTypes.memoryType(at: range.attributes.patIndex), to: 4) + "  "
      + range.physicalStart.rawValue.hexadecimal + note
  }

  private func addresses(_ range: MappedRange) -> String {
    "\(digits(range.start.rawValue))-\(digits(range.last.rawValue))"
  }

  private func digits(_ address: UInt64) -> String {
    let text = String(address, radix: 16)
    return String(repeating: "0", count: max(0, 16 - text.count)) + text
  }

  private func hole(before range: MappedRange) -> String {
    let start = last.map { $0.start.rawValue &+ $0.size } ?? 0
    guard showsHoles, range.start.rawValue > start else { return "" }
    return padded("", to: 36) + padded(sizeInWords(range.start.rawValue - start), to: 10, onLeft: true)
      + "  not mapped\n"
  }

  private func troubles(_ survey: AddressSpaceSurvey, _ start: Page) -> String {
    var page = start
    page.line("")
    page.item(
      "", "\(survey.rangeCount) ranges, \(sizeInWords(survey.mappedSize)) mapped by \(survey.tableCount) tables",
      note: "memory types by \(memoryTypes == .reset ? "IA32_PAT as a reset leaves it" : "IA32_PAT")")
    if let words = survey.end.words { page.item("", words, as: .alarm) }
    for kind in AddressSpaceTrouble.Kind.allCases {
      guard let troubles = survey.troubles[kind], let count = survey.counts[kind] else { continue }
      page.section(kind.title)
      for trouble in troubles {
        page.item(
          "  - ", "\(trouble.start.rawValue.hexadecimal): \(trouble.words)", as: kind.isHarmless ? .plain : .alarm)
      }
      if count > troubles.count { page.item("  - ", "and \(count - troubles.count) more") }
    }
    return page.text
  }
}

// MARK: Words

extension MappedRange {
  /// `rwxuG`: read, write, execute, then `u` for user mode or `s` for the supervisor alone, and G.
  var letters: String {
    "r\(rights.contains(.write) ? "w" : "-")\(rights.contains(.execute) ? "x" : "-")"
      + "\(rights.contains(.user) ? "u" : "s")\(attributes.isGlobal ? "G" : "")"
      + (attributes.protectionKey == 0 ? "" : "k\(attributes.protectionKey)")
  }
}

extension AddressSpaceTrouble.Kind {
  fileprivate var title: String {
    switch self {
    case .reservedBit: "Reserved bits: each access is a page fault"
    case .possiblyReservedBit: "Perhaps reserved bits: what decides is not known"
    case .tableOutsideRAM: "Tables where there is no memory"
    case .tableOnDevice: "Tables where a device answers"
    case .tableNotCaptured: "Tables that the memory at hand does not hold"
    case .tableWritableByUser: "Tables that user mode can write"
    case .writableAndExecutable: "Writable and executable"
    case .pageOverlapsDevice: "Pages that are part memory, part not"
    case .selfMap: "Self-maps"
    }
  }

  /// What many kernels do on purpose.
  fileprivate var isHarmless: Bool {
    switch self {
    case .selfMap, .writableAndExecutable, .tableNotCaptured, .possiblyReservedBit, .pageOverlapsDevice: true
    case .reservedBit, .tableOutsideRAM, .tableOnDevice, .tableWritableByUser: false
    }
  }
}

extension AddressSpaceScanEnd {
  /// Why not all was shown; nil if it was.
  var words: String? {
    switch self {
    case .complete: nil
    case .unpaged: "There is no paging: every linear address is the physical one."
    case .rootUnavailable(let memory):
      "The root table cannot be read: physical \(memory.address.rawValue.hexadecimal), \(memory.reason.words)."
    case .pdptesNotLoadable(let fault):
      "PDPTE \(fault.index) cannot be loaded as it stands in memory, so what the registers hold is not known."
    case .tooManyTables(let address):
      "Too many tables; what lies at \(address.rawValue.hexadecimal) and above is not shown."
    }
  }
}
