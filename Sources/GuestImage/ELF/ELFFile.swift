import CElfutils
import Synchronization
import X86

/// The bytes of an ELF file, and elfutils' view of them; nothing else calls elfutils but `FunctionScopes` for it.
///
/// libelf and libdw hand out pointers into the bytes and into caches of their own, which are valid as long as their
/// handle and are not to be used by two threads at once. So one lock owns the bytes and the handles, every pointer stays
/// inside a call, and what leaves is a value. Nothing here opens a file: DWARF in separate files is not looked for.
final class ELFFile: Sendable {
  private let contents: Mutex<Contents>

  init(copying file: Span<UInt8>) throws(ImageError) {
    contents = Mutex(try Contents(copying: file))
  }

  // MARK: Bytes

  /// Calls `body` with the bytes from `offset` on, at most `count` and no more than there are.
  func withBytes<Result>(at offset: UInt64, count: UInt64, _ body: (Span<UInt8>) -> Result) -> Result {
    contents.withLock { contents in
      let size = UInt64(unsafe contents.bytes.count)
      let start = min(offset, size)
      let end = start + min(count, size - start)
      let part = unsafe contents.bytes[Int(start)..<Int(end)]
      return body(unsafe Span(_unsafeElements: UnsafeBufferPointer(rebasing: part)))
    }
  }

  var size: UInt64 { contents.withLock { UInt64(unsafe $0.bytes.count) } }

  /// The GNU build ID (`.note.gnu.build-id`); nil where the file has none.
  var buildID: [UInt8]? {
    contents.withLock { contents in
      var bytes: UnsafeRawPointer?
      let count = unsafe dwelf_elf_gnu_build_id(contents.elf, &bytes)
      guard count > 0, let bytes = unsafe bytes else { return nil }
      return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count))
    }
  }

  // MARK: Program headers

  var entryPoint: UInt64 {
    contents.withLock { contents in
      var header = GElf_Ehdr()
      return unsafe gelf_getehdr(contents.elf, &header) == nil ? 0 : header.e_entry
    }
  }

  func programHeaders() throws(ImageError) -> [GElf_Phdr] {
    let result: Result<[GElf_Phdr], ImageError> = contents.withLock { contents in
      var count = 0
      guard unsafe elf_getphdrnum(contents.elf, &count) == 0 else {
        return .failure(.malformed(part: "number of program headers", reason: Self.lastError()))
      }
      var headers: [GElf_Phdr] = []
      for index in 0..<count {
        var header = GElf_Phdr()
        guard let index = Int32(exactly: index), unsafe gelf_getphdr(contents.elf, index, &header) != nil else {
          return .failure(.malformed(part: "program header \(index)", reason: Self.lastError()))
        }
        headers.append(header)
      }
      return .success(headers)
    }
    return try result.get()
  }

  // MARK: Symbols

  /// A symbol that names a place in a section, its name still in the file.
  struct RawSymbol {
    var start: UInt64
    var size: UInt64
    var section: Int
    var binding: UInt8
    var nameTable: Int
    var nameOffset: Int
  }

  /// Where a section is in memory.
  struct Section {
    var start: UInt64
    var size: UInt64
  }

  /// The sections by their number, and the symbols of .symtab, or of .dynsym where there is no other.
  func symbols() -> (sections: [Int: Section], symbols: [RawSymbol]) {
    contents.withLock { contents in
      var sections: [Int: Section] = [:]
      var tables: [UInt32: [RawSymbol]] = [:]
      var next = unsafe elf_nextscn(contents.elf, nil)
      while let section = unsafe next {
        defer { unsafe next = elf_nextscn(contents.elf, section) }
        var header = GElf_Shdr()
        guard unsafe gelf_getshdr(section, &header) != nil else { continue }
        if header.sh_flags & UInt64(SHF_ALLOC) != 0 {
          sections[unsafe elf_ndxscn(section)] = Section(start: header.sh_addr, size: header.sh_size)
        }
        if header.sh_type == UInt32(SHT_SYMTAB) || header.sh_type == UInt32(SHT_DYNSYM) {
          tables[header.sh_type, default: []] += unsafe Self.symbols(in: section, names: Int(header.sh_link))
        }
      }
      return (sections, tables[UInt32(SHT_SYMTAB)] ?? tables[UInt32(SHT_DYNSYM)] ?? [])
    }
  }

  func name(of symbol: RawSymbol) -> String? {
    contents.withLock { contents in
      guard let name = unsafe elf_strptr(contents.elf, symbol.nameTable, symbol.nameOffset) else { return nil }
      return unsafe String(cString: name)
    }
  }

  private static func symbols(in section: OpaquePointer, names: Int) -> [RawSymbol] {
    var symbols: [RawSymbol] = []
    guard let data = unsafe elf_getdata(section, nil) else { return symbols }
    var symbol = GElf_Sym()
    var index: Int32 = 0
    while unsafe gelf_getsym(data, index, &symbol) != nil {
      index += 1
      let type = Int32(symbol.st_info & 0xF)
      guard type == STT_NOTYPE || type == STT_OBJECT || type == STT_FUNC || type == STT_GNU_IFUNC else { continue }
      guard symbol.st_name != 0, symbol.st_shndx != UInt16(SHN_UNDEF), symbol.st_shndx < UInt16(SHN_LORESERVE) else {
        continue
      }
      symbols.append(
        RawSymbol(
          start: symbol.st_value, size: symbol.st_size, section: Int(symbol.st_shndx), binding: symbol.st_info >> 4,
          nameTable: names, nameOffset: Int(symbol.st_name)))
    }
    return symbols
  }

  // MARK: Source

  /// The functions that the instruction at `address` is of, innermost first, by DWARF; none where it does not say.
  ///
  /// Units are asked one by one because .debug_aranges, which would lead to the right one, is optional and clang does
  /// not write it. A unit with a line for the address goes before one without.
  func frames(at address: UInt64) -> [SourceFrame] {
    contents.withLock { contents in
      guard let dwarf = unsafe contents.openDWARF() else { return [] }
      var framesWithoutLine: [SourceFrame] = []
      var unit: OpaquePointer? = nil
      var next: OpaquePointer? = nil
      var version: Dwarf_Half = 0
      var type: UInt8 = 0
      var die = unsafe Dwarf_Die()
      while unsafe dwarf_get_units(dwarf, unit, &next, &version, &type, &die, nil) == 0 {
        unsafe unit = next
        guard unsafe dwarf_haspc(&die, address) == 1 else { continue }
        let line = unsafe dwarf_getsrc_die(&die, address).flatMap { unsafe Self.place(of: $0) }
        let frames = unsafe FunctionScopes(in: die, version: version, at: address).frames(innermost: line)
        if line != nil { return frames }
        if framesWithoutLine.isEmpty { framesWithoutLine = frames }
      }
      return framesWithoutLine
    }
  }

  private static func place(of line: OpaquePointer) -> SourceLine? {
    var number: Int32 = 0
    var column: Int32 = 0
    guard unsafe dwarf_lineno(line, &number) == 0, let number = UInt64(exactly: number) else { return nil }
    guard let file = unsafe dwarf_linesrc(line, nil, nil) else { return nil }
    let hasColumn = unsafe dwarf_linecol(line, &column) == 0
    return SourceLine(
      dwarfFile: unsafe String(cString: file), line: number, column: hasColumn ? UInt64(exactly: column) : nil)
  }

  fileprivate static func lastError() -> String {
    guard let message = unsafe elf_errmsg(-1) else { return "unknown" }
    return unsafe String(cString: message)
  }
}

/// What the lock of an `ELFFile` owns. The handles point into the bytes, and `dwarf` into `elf`.
@safe private struct Contents: ~Copyable {
  let bytes: UnsafeBufferPointer<UInt8>
  let elf: OpaquePointer
  var dwarf: DWARF

  @safe enum DWARF {
    case unopened
    case absent
    case opened(OpaquePointer)
  }

  init(copying file: Span<UInt8>) throws(ImageError) {
    _ = elf_version(UInt32(EV_CURRENT))
    // libelf reads fields in place only where they are aligned.
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: file.count, alignment: 64)
    unsafe file.withUnsafeBytes { unsafe copy.copyMemory(from: $0) }
    let start = unsafe copy.baseAddress?.assumingMemoryBound(to: CChar.self)
    guard let elf = unsafe elf_memory(start, file.count) else {
      unsafe copy.deallocate()
      throw .malformed(part: "file", reason: ELFFile.lastError())
    }
    unsafe self.bytes = UnsafeBufferPointer(copy.bindMemory(to: UInt8.self))
    unsafe self.elf = elf
    self.dwarf = .unopened
  }

  /// The DWARF handle, opened when first asked for.
  mutating func openDWARF() -> OpaquePointer? {
    if case .unopened = dwarf {
      dwarf = unsafe dwarf_begin_elf(elf, DWARF_C_READ, nil).map { unsafe .opened($0) } ?? .absent
    }
    guard case .opened(let handle) = dwarf else { return nil }
    return unsafe handle
  }

  deinit {
    if case .opened(let handle) = dwarf { unsafe dwarf_end(handle) }
    unsafe elf_end(elf)
    unsafe bytes.deallocate()
  }
}
