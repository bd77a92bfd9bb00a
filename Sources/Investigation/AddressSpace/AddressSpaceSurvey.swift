public import QEMU
public import X86

/// An address space with the trouble in it.
///
/// The tables are gone through twice: first down to the page tables, to know what is a table; then down to the pages, which
/// are given away as they come, so that memory in use hangs on the number of tables alone.
public struct AddressSpaceSurvey {
  public let paging: Paging
  /// What is where; nil where that is not known, and then no page is said to overlap a device.
  public let layout: MemoryMap?
  /// The trouble, by kind and then by address, at most ``mostOfAKind`` of a kind.
  public private(set) var troubles: [AddressSpaceTrouble.Kind: [AddressSpaceTrouble]] = [:]
  /// How much there is of each kind, also of what is not kept.
  public var counts: [AddressSpaceTrouble.Kind: Int] {
    Dictionary(uniqueKeysWithValues: zip(AddressSpaceTrouble.Kind.allCases, countsByKind)).filter { $0.value > 0 }
  }
  /// How many bytes are mapped, but for self-maps.
  public private(set) var mappedSize: UInt64 = 0
  public private(set) var rangeCount = 0
  public private(set) var end = AddressSpaceScanEnd.complete
  /// The paging structures, each with the highest structure it serves as.
  public var tableCount: Int { tables.count }

  /// How much trouble of one kind is kept.
  public static let mostOfAKind = 8

  private var countsByKind = [Int](repeating: 0, count: AddressSpaceTrouble.Kind.allCases.count)
  private var tables: [UInt64: PagingStructure] = [:]
  /// The tables' addresses, ascending.
  private var sortedTables: [UInt64] = []

  /// - Parameter visit: Given each mapped range, by ascending linear address.
  public init(
    of paging: Paging, in memory: some PhysicalMemory, layout: MemoryMap? = nil,
    visit: (MappedRange) -> Void = { _ in }
  ) {
    self.paging = paging
    self.layout = layout
    findTables(in: memory)
    withoutActuallyEscaping(visit) { visit in
      var surveyor = Surveyor(survey: self, visit: visit)
      let end = paging.scan(in: memory, visitor: &surveyor)
      self = surveyor.survey
      self.end = end
    }
  }

  private mutating func findTables(in memory: some PhysicalMemory) {
    var search = TableSearch()
    _ = paging.scan(in: memory, visitor: &search)
    tables = search.tables
    sortedTables = tables.keys.sorted()
  }

  /// Counts a trouble, and keeps it if there are not yet many of its kind; only then it is put into words.
  fileprivate mutating func add(_ kind: AddressSpaceTrouble.Kind, _ trouble: @autoclosure () -> AddressSpaceTrouble) {
    countsByKind[kind.rawValue] += 1
    if countsByKind[kind.rawValue] <= Self.mostOfAKind { troubles[kind, default: []].append(trouble()) }
  }

  fileprivate mutating func judge(_ range: MappedRange) {
    rangeCount += 1
    if !range.isThroughSelfMap { mappedSize &+= range.size }
    if range.rights.isSuperset(of: [.write, .user]) { judgeTables(in: range) }
    if range.rights.isSuperset(of: [.write, .execute]) {
      add(.writableAndExecutable, AddressSpaceTrouble(writableAndExecutable: range))
    }
    if range.pageSize > 0x1000, let layout { judgeOverlaps(in: range, layout) }
  }

  /// The tables among pages that user mode may write.
  private mutating func judgeTables(in range: MappedRange) {
    var index = sortedTables.firstIndex(notBelow: range.physicalStart.rawValue)
    while index < sortedTables.count, sortedTables[index] <= range.physicalLast.rawValue {
      let table = PhysicalAddress(sortedTables[index])
      if let place = range.linearAddress(of: table), let structure = tables[table.rawValue] {
        add(.tableWritableByUser, AddressSpaceTrouble(table: table, of: structure, writableAt: place))
      }
      index += 1
    }
  }

  /// Large pages of which one part is memory and another is not: only those at the edges of the memory.
  private mutating func judgeOverlaps(in range: MappedRange, _ layout: MemoryMap) {
    var lastPage: UInt64?
    for memory in layout.ranges where memory.kind != .device {
      for edge in [memory.first.rawValue, memory.last.rawValue] {
        guard let place = range.linearAddress(of: PhysicalAddress(edge)) else { continue }
        let page = (place.rawValue - range.start.rawValue) / range.pageSize * range.pageSize
        let physical = range.physicalStart.rawValue &+ page
        guard page != lastPage, let other = layout.nonMemory(from: physical, size: range.pageSize) else { continue }
        lastPage = page
        add(
          .pageOverlapsDevice,
          AddressSpaceTrouble(
            overlapping: range, page: LinearAddress(range.start.rawValue &+ page),
            memory: "the memory up to \(memory.last.rawValue.hexadecimal)", other: other))
      }
    }
  }
}

/// Shows each range to the survey and to whoever asked for it.
private struct Surveyor: AddressSpaceVisitor {
  var survey: AddressSpaceSurvey
  let visit: (MappedRange) -> Void

  mutating func visit(_ range: MappedRange) {
    survey.judge(range)
    visit(range)
  }

  mutating func visit(_ finding: TableFinding) {
    survey.add(AddressSpaceTrouble.Kind(finding), AddressSpaceTrouble(finding))
  }
}

/// Finds the tables without going through the page tables, and through none twice.
private struct TableSearch: AddressSpaceVisitor {
  var tables: [UInt64: PagingStructure] = [:]

  mutating func visit(_ range: MappedRange) {}
  mutating func visit(_ finding: TableFinding) {}

  mutating func enter(_ table: PhysicalAddress, _ structure: PagingStructure, by entry: PageTableEntry?) -> Bool {
    let known = tables[table.rawValue]
    if known.map({ $0 < structure }) ?? true { tables[table.rawValue] = structure }
    return structure != .pageTable && known.map { $0 < structure } ?? true
  }
}

extension [UInt64] {
  /// In an ascending array, the place of the first element that is not below `value`.
  fileprivate func firstIndex(notBelow value: UInt64) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension MemoryMap {
  /// What else than memory lies in a range of addresses: a device by name, or nothing; nil if all of it is memory.
  fileprivate func nonMemory(from start: UInt64, size: UInt64) -> String? {
    let last = start &+ (size &- 1)
    var next = start
    for range in ranges where range.last.rawValue >= start && range.first.rawValue <= last {
      if range.kind == .device { return "a device (\(range.name))" }
      if range.first.rawValue > next { return "a hole at \(next.hexadecimal)" }
      if range.last.rawValue >= last { return nil }
      next = range.last.rawValue + 1
    }
    return "a hole at \(next.hexadecimal)"
  }
}
