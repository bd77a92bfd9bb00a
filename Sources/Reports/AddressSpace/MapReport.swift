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
  private var line = RangeLine()

  public init(_ format: Format) { self.format = format }

  // MARK: The parts, in order

  /// What stands before the ranges.
  ///
  /// - Parameter registers: Where the registers came from.
  public func head(_ paging: Paging, registers: String) -> String {
    switch format {
    case .json:
      let head = MapHead(mode: paging.mode.name, cr3: paging.cr3.hexadecimal, registers: registers)
      return jsonLine(head).dropLast() + ",\"ranges\":[\n"
    case .text(let usesColour):
      var page = Page(usesColour: usesColour)
      page.item("", "\(paging.mode.name), CR3 \(paging.cr3.hexadecimal)", note: registers)
      page.line("")
      page.line(RangeLine.titles)
      return page.text
    }
  }

  /// The next range, with the hole before it, for as long as the closure lasts.
  public mutating func withLines<Result>(of range: MappedRange, _ body: (Span<UInt8>) -> Result) -> Result {
    line.clear()
    switch format {
    case .json:
      line.append(last == nil ? "" : ",\n")
      line.appendJSON(range, memoryTypes)
    case .text:
      let start = last.map { $0.start.rawValue &+ $0.size } ?? 0
      if showsHoles, range.start.rawValue > start { line.appendHole(range.start.rawValue - start) }
      line.append(range, memoryTypes)
    }
    last = range
    return body(line.bytes.span)
  }

  /// What stands behind the ranges.
  public func tail(_ survey: AddressSpaceSurvey) -> String {
    switch format {
    case .json: return "\n],\n" + jsonLine(MapTail(survey)).dropFirst() + "\n"
    case .text(let usesColour): return troubles(survey, Page(usesColour: usesColour))
    }
  }

  // MARK: Text

  private func troubles(_ survey: AddressSpaceSurvey, _ start: Page) -> String {
    var page = start
    page.line("")
    page.item(
      "",
      "\(survey.rangeCount) \(survey.rangeCount == 1 ? "range" : "ranges"), \(sizeInWords(survey.mappedSize)) mapped by \(survey.tableCount) tables",
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
  /// The rights as the map shows them.
  var letters: String {
    var line = RangeLine()
    line.appendRights(self)
    return String(decoding: line.bytes, as: UTF8.self)
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
