extension Paging {
  /// Shows the whole address space to `visitor`, reading each table once for each entry that leads to it.
  ///
  /// The order of the checks is that of ``walk(_:for:in:)``. An entry with reserved bits that are definite maps nothing; one
  /// whose reserved bits hang on something unknown is reported and taken to map. Rights are gathered, not judged.
  ///
  /// Memory in use does not grow with the address space. Tables that lead back to each other can spell out more ranges than
  /// there is time for, so the scan ends behind `tableLimit` tables; the default is enough for 2 TiB in 4 KiB pages.
  @inlinable
  public func scan<Visitor: AddressSpaceVisitor>(
    in memory: borrowing some PhysicalMemory, tableLimit: Int = 1 << 20, visitor: inout Visitor
  ) -> AddressSpaceScanEnd {
    guard let format, let root = rootStructure else { return .unpaged }
    var scan = AddressSpaceScan<Visitor>(paging: self, format: format, tablesLeft: tableLimit)
    let end = format == .pae ? scan.runPAE(in: memory, &visitor) : scan.run(root, in: memory, &visitor)
    scan.flush(to: &visitor)
    return end
  }
}

@usableFromInline
struct AddressSpaceScan<Visitor: AddressSpaceVisitor> {
  @usableFromInline
  let paging: Paging
  @usableFromInline
  let format: TableFormat
  /// The bits of a PTE that decide whether it goes on where the one before it ended: all but A, D, those that software
  /// may use, and the protection key where none is in force.
  @usableFromInline
  let significantBits: UInt64
  /// Whether pages have protection keys.
  @usableFromInline
  let hasKeys: Bool
  @usableFromInline
  var tablesLeft: Int
  /// The range that may go on.
  @usableFromInline
  var open: MappedRange?
  /// The tables that the scan is in, by level.
  @usableFromInline
  var path = InlineArray<6, UInt64>(repeating: .max)
  @usableFromInline
  var stop: LinearAddress?

  @inlinable
  init(paging: Paging, format: TableFormat, tablesLeft: Int) {
    self.paging = paging
    self.format = format
    self.tablesLeft = tablesLeft
    hasKeys = paging.hasProtectionKeys(in: format)
    significantBits = ~(0xE60 | 0x07F0_0000_0000_0000 | (hasKeys ? 0 : 0x7800_0000_0000_0000))
  }

  // MARK: The root

  @inlinable
  mutating func run(
    _ structure: PagingStructure, in memory: borrowing some PhysicalMemory, _ visitor: inout Visitor
  ) -> AddressSpaceScanEnd {
    let missing = scan(Table(address: paging.rootTable, structure: structure), by: nil, in: memory, &visitor)
    return end(missing)
  }

  @inlinable
  mutating func runPAE(
    in memory: borrowing some PhysicalMemory, _ visitor: inout Visitor
  ) -> AddressSpaceScanEnd {
    let root = Table(address: paging.rootTable, structure: .pageDirectoryPointerTable)
    path[root.structure.level] = root.address.rawValue
    if readsPDPTEs {
      return end(scanEntries(0..<4, of: root, in: memory, &visitor))
    }
    let registers: PDPTERegisters
    do throws(PDPTELoadFault) {
      if let known = paging.pdpteRegisters {
        registers = known
      } else {
        registers = try paging.loadPDPTEs(from: memory)
      }
    } catch {
      return .pdptesNotLoadable(error)
    }
    for index in 0..<4 { take(registers[index], index, of: root, in: memory, &visitor) }
    return end(nil)
  }

  /// How the scan ended; `missing` is what could not be read of the root.
  @inlinable
  func end(_ missing: UnavailableMemory?) -> AddressSpaceScanEnd {
    if let stop { return .tooManyTables(at: stop) }
    return missing.map { .rootUnavailable($0) } ?? .complete
  }

  /// Whether the PDPTEs of PAE paging are entries like any others, and not registers.
  @inlinable
  var readsPDPTEs: Bool { paging.rules.quirks.contains(.readsPDPTEs) }

  // MARK: Tables

  /// A table with what leads to it.
  @usableFromInline
  struct Table {
    @usableFromInline
    var address: PhysicalAddress
    @usableFromInline
    var structure: PagingStructure
    /// The first linear address that it governs, not made canonical.
    @usableFromInline
    var base: UInt64 = 0
    @usableFromInline
    var rights = PageRights.all
    @usableFromInline
    var isThroughSelfMap = false

    @inlinable
    init(
      address: PhysicalAddress, structure: PagingStructure, base: UInt64 = 0, rights: PageRights = .all,
      isThroughSelfMap: Bool = false
    ) {
      self.address = address
      self.structure = structure
      self.base = base
      self.rights = rights
      self.isThroughSelfMap = isThroughSelfMap
    }
  }

  /// Goes through a table; what of it could not be read, if anything.
  @inlinable
  mutating func scan(
    _ table: Table, by entry: PageTableEntry?, in memory: borrowing some PhysicalMemory, _ visitor: inout Visitor
  ) -> UnavailableMemory? {
    guard stop == nil else { return nil }
    guard tablesLeft > 0 else {
      stop = canonical(table.base)
      return nil
    }
    tablesLeft &-= 1
    guard visitor.enter(table.address, table.structure, by: entry) else { return nil }
    // A table may be on the path at two levels; each must find its own place again.
    let above = path[table.structure.level]
    path[table.structure.level] = table.address.rawValue
    defer { path[table.structure.level] = above }
    let page: TablePage
    do throws(UnavailableMemory) {
      page = try TablePage(at: table.address, in: memory)
    } catch {
      return scanEntries(0..<(format.isTwoLevel ? 1024 : 512), of: table, in: memory, &visitor)
    }
    // Safe: bytes have no padding that could be read uninitialised.
    unsafe scan(page.bytes.span.bytes, of: table, in: memory, &visitor)
    return nil
  }

  @inlinable
  mutating func scan(
    _ page: RawSpan, of table: Table, in memory: borrowing some PhysicalMemory, _ visitor: inout Visitor
  ) {
    let isTwoLevel = format.isTwoLevel
    if table.structure == .pageTable && !isTwoLevel {
      scanPageTable(page, of: table, in: memory, &visitor)
      return
    }
    for index in 0..<(isTwoLevel ? 1024 : 512) where stop == nil {
      let entry = page.tableEntry(index, isTwoLevel: isTwoLevel)
      if entry.rawValue & 1 != 0 { take(entry, index, of: table, in: memory, &visitor) }
    }
  }

  /// A page table of 8-byte entries, of which a large address space nearly consists: each run of entries that go on where
  /// the one before ended is taken at once.
  @inlinable
  mutating func scanPageTable(
    _ page: RawSpan, of table: Table, in memory: borrowing some PhysicalMemory, _ visitor: inout Visitor
  ) {
    let suspects = paging.rules.suspects(of: PageTableEntry(1), at: .pageTable, in: format)
    let significantBits = significantBits
    let base = canonical(table.base).rawValue
    var index = 0
    while index < 512 {
      let entry = page.tableEntry(index, isTwoLevel: false)
      var next = index &+ 1
      if entry.rawValue & 1 == 0 {
        index = next
        continue
      }
      if entry.rawValue & suspects != 0 {
        take(entry, index, of: table, in: memory, &visitor)
        index = next
        continue
      }
      var expected = (entry.rawValue & significantBits) &+ 0x1000
      while next < 512 {
        let raw = page.tableEntry(next, isTwoLevel: false).rawValue
        guard raw & significantBits == expected, raw & suspects == 0 else { break }
        expected &+= 0x1000
        next &+= 1
      }
      show(
        MappedRange(
          start: LinearAddress(base &+ UInt64(index) &* 0x1000), size: UInt64(next &- index) &* 0x1000,
          physicalStart: entry.table, pageSize: 0x1000, rights: table.rights.intersection(entry.rights),
          attributes: attributes(of: entry, at: .pageTable), isThroughSelfMap: table.isThroughSelfMap), &visitor)
      index = next
    }
  }

  /// Goes through what can be read of a table, entry by entry; the first that could not be read.
  @inlinable
  mutating func scanEntries(
    _ indices: Range<Int>, of table: Table, in memory: borrowing some PhysicalMemory, _ visitor: inout Visitor
  ) -> UnavailableMemory? {
    var missing: UnavailableMemory?
    for index in indices where stop == nil {
      let place = PhysicalAddress(table.address.rawValue &+ format.entrySize &* UInt64(index))
      do throws(UnavailableMemory) {
        let entry = PageTableEntry(
          format.isTwoLevel ? UInt64(try memory.loadUInt32(at: place)) : try memory.loadUInt64(at: place))
        take(entry, index, of: table, in: memory, &visitor)
      } catch {
        missing = missing ?? error
      }
    }
    return missing
  }

  // MARK: Entries

  @inlinable
  mutating func take(
    _ entry: PageTableEntry, _ index: Int, of table: Table, in memory: borrowing some PhysicalMemory,
    _ visitor: inout Visitor
  ) {
    guard entry.isPresent else { return }
    if entry.rawValue & paging.rules.suspects(of: entry, at: table.structure, in: format) != 0 {
      let violations = paging.rules.violations(of: entry, at: table.structure, in: format)
      // What the registers of PAE paging hold was checked when it was loaded.
      if !violations.isEmpty, readsPDPTEs || !isPAERoot(table.structure) {
        report(.reservedBits(violations), entry, index, of: table, to: &visitor)
        if violations.areDefinite { return }
      }
    }
    let base = table.base | UInt64(index) &<< format.indexShift(of: table.structure)
    let rights = isPAERoot(table.structure) ? table.rights : table.rights.intersection(entry.rights)
    guard !entry.isLeaf(at: table.structure, in: format), let next = table.structure.next else {
      map(entry, of: table, base: base, rights: rights, &visitor)
      return
    }
    descend(
      Table(
        address: entry.table, structure: next, base: base, rights: rights, isThroughSelfMap: table.isThroughSelfMap),
      by: entry, index, of: table, in: memory, &visitor)
  }

  @inlinable
  func isPAERoot(_ structure: PagingStructure) -> Bool {
    format == .pae && structure == .pageDirectoryPointerTable
  }

  @usableFromInline
  mutating func descend(
    _ table: Table, by entry: PageTableEntry, _ index: Int, of parent: Table,
    in memory: borrowing some PhysicalMemory, _ visitor: inout Visitor
  ) {
    var table = table
    if path.indices.contains(where: { path[$0] == table.address.rawValue }) {
      if !table.isThroughSelfMap { report(.selfMap, entry, index, of: parent, to: &visitor) }
      table.isThroughSelfMap = true
    }
    guard let missing = scan(table, by: entry, in: memory, &visitor) else { return }
    report(.tableUnavailable(missing), entry, index, of: parent, to: &visitor)
  }

  @inlinable
  mutating func map(
    _ leaf: PageTableEntry, of table: Table, base: UInt64, rights: PageRights, _ visitor: inout Visitor
  ) {
    let size = format.span(of: table.structure)
    show(
      MappedRange(
        start: canonical(base), size: size, physicalStart: leaf.leafPage(at: table.structure, in: format),
        pageSize: size, rights: rights, attributes: attributes(of: leaf, at: table.structure),
        isThroughSelfMap: table.isThroughSelfMap), &visitor)
  }

  @inlinable
  func attributes(of leaf: PageTableEntry, at structure: PagingStructure) -> PageAttributes {
    let pat = leaf.rawValue &>> (structure == .pageTable ? 7 : 12) & 1
    return PageAttributes(
      patIndex: UInt8(truncatingIfNeeded: leaf.rawValue &>> 3 & 3 | pat &<< 2),
      isGlobal: leaf.rawValue & 1 << 8 != 0, protectionKey: hasKeys ? leaf.protectionKey : 0)
  }

  /// Joins a range to the one before it, or shows that one.
  @inlinable
  mutating func show(_ range: MappedRange, _ visitor: inout Visitor) {
    if let last = open {
      if last.isContinued(by: range) {
        open?.size = last.size &+ range.size
        return
      }
      visitor.visit(last)
    }
    open = range
  }

  /// Shows the range that does not go on.
  @inlinable
  mutating func flush(to visitor: inout Visitor) {
    guard let range = open else { return }
    open = nil
    visitor.visit(range)
  }

  @usableFromInline
  mutating func report(
    _ kind: TableFinding.Kind, _ entry: PageTableEntry, _ index: Int, of table: Table, to visitor: inout Visitor
  ) {
    visitor.visit(
      TableFinding(
        kind: kind, structure: table.structure, index: index,
        entryAddress: PhysicalAddress(table.address.rawValue &+ format.entrySize &* UInt64(index)), entry: entry,
        start: canonical(table.base | UInt64(index) &<< format.indexShift(of: table.structure)),
        span: format.span(of: table.structure),
        rights: isPAERoot(table.structure) ? table.rights : table.rights.intersection(entry.rights)))
  }

  /// The address with its unused upper bits made copies of the highest used one.
  @inlinable
  func canonical(_ address: UInt64) -> LinearAddress {
    let unused: Int64 =
      switch paging.mode {
      case .none, .twoLevel, .pae: 0
      case .fourLevel: 16
      case .fiveLevel: 7
      }
    return LinearAddress(UInt64(bitPattern: (Int64(bitPattern: address) &<< unused) &>> unused))
  }
}

extension Paging {
  /// Whether pages have protection keys.
  @inlinable
  func hasProtectionKeys(in format: TableFormat) -> Bool {
    format == .longMode && (protection.protectionKeys || protection.supervisorProtectionKeys)
  }
}
