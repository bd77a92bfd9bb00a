import X86

/// Finds the registers that other programs than QEMU print of a processor: Bochs, VirtualBox, EDK2, kvmtool and its kin, monitors in Rust, Linux of 32
/// bits, Xen, GDB, and kernels that print their own.
///
/// The forms differ in the names' spelling, in what stands between a name and its value, and in how much of a segment is shown. What a line shows is
/// taken by name, whatever the program: `RAX=…`, `rax: …`, `RAX  - …`, `rax            0x…`. The structures of segments are those of
/// Bochs 2.x and 3.0 (cpu/init.cc, debug), VirtualBox 6.1 (VMMR3/CPUMDbg.cpp), EDK2 (CpuExceptionHandlerLib: DumpCpuContext), kvmtool (x86/kvm-cpu.c:
/// kvm_cpu__show_registers) and the crates kvm-bindings and x86_64.
struct PrintedDumpParser {
  private var dump: RegisterDump?
  private var structure: StructureText?
  private var strangeLines = 0
  /// What a line before the registers said of the exception, and where.
  private var announced: (vector: ExceptionVector, line: Int)?
  /// Where a page fault was, and its error code, as a line before the registers said.
  private var announcedAddress: UInt64?
  private var announcedCode: UInt32?
  /// CR2 in the dump is what words said, and the register itself may follow.
  private var isAddressAnnounced = false
  /// The dump begins with a line that names its exception in words and numbers, which is worth telling without any register.
  private var isNumbered = false
  /// The processor of Bochs is in a code segment with L set.
  private var isLongCode = false
  /// Registers follow that are not the guest's.
  private var isOfHost = false

  /// The dumps that ended, in order.
  private(set) var finished: [RegisterDump] = []

  /// Fewer bytes with a mark are something else.
  private static let fewestBytes = 8
  /// How many lines without a register may stand inside a dump.
  private static let mostStrangeLines = 6
  /// How far a dump may be from the words that name its exception.
  private static let farthestWords = 12
  /// Fewer registers are a program's text, unless it names an exception and where.
  private static let fewestRegisters = 4
  private static let fewestOfException = 2

  mutating func takeFinished() -> [RegisterDump] {
    defer { finished = [] }
    return finished
  }

  /// Takes a line; false where it shows no register.
  mutating func take(_ line: LogLine) -> Bool {
    note(line)
    if takeStructure(line) { return true }
    if isOfHost { return false }
    if takeRow(line) || takeInstruction(line) || takeCode(line) { return true }
    let pairs = BSDTrap.pairs(of: line) ?? PrintedPairs(line).pairs
    let registers = pairs.count { !$0.isOfException }
    if registers == 0, takeNumbered(pairs, line) { return true }
    if dump == nil, registers == 0, takeAnnouncement(pairs, line.number) { return true }
    let isBehindWords = isAnnounced(at: line.number) && registers >= 1
    guard
      dump != nil && !pairs.isEmpty || registers >= 1 && pairs.count >= 2 || isBehindWords
        || pairs.first?.isAlone == true
    else {
      passOver()
      return false
    }
    // An error code is of the exception that the line may name behind it.
    let (others, codes) = (pairs.filter { $0.name != .errorCode }, pairs.filter { $0.name == .errorCode })
    for pair in others + codes { take(pair, line.number, isLone: registers < 2) }
    return true
  }

  /// `CPU EXCEPTION: 'Page fault' (INT:14 ERR:0)`: words, the vector and the error code in one line.
  private mutating func takeNumbered(_ pairs: [PrintedPair], _ line: LogLine) -> Bool {
    guard let vector = pairs.first(where: { $0.name == .vector }),
      let code = pairs.first(where: { $0.name == .errorCode }),
      let named = PrintedException.vector(in: line), vector.value == UInt64(named.rawValue)
    else { return false }
    endDump()
    begin(line.number)
    dump?.exception = RegisterDump.Exception(vector: named, errorCode: UInt32(truncatingIfNeeded: code.value))
    isNumbered = true
    return true
  }

  private func isAnnounced(at line: Int) -> Bool { announced.map { line - $0.line <= Self.farthestWords } ?? false }

  /// What a line without registers says of the exception that follows: `Interrupt 0xE fired! Error: 0x2`.
  private mutating func takeAnnouncement(_ pairs: [PrintedPair], _ line: Int) -> Bool {
    if let vector = pairs.first(where: { $0.name == .vector }), vector.value < 32, announced == nil {
      announced = (ExceptionVector(rawValue: UInt8(truncatingIfNeeded: vector.value)), line)
    }
    guard announced != nil, let code = pairs.first(where: { $0.name == .errorCode }) else { return false }
    announcedCode = UInt32(truncatingIfNeeded: code.value)
    return true
  }

  /// Takes a line that says something else, too: only an exception that it names.
  mutating func hear(_ line: LogLine) {
    guard dump == nil, let vector = PrintedException.vector(in: line) else { return }
    announced = (vector, line.number)
  }

  /// Ends the dump, if there is one.
  mutating func endDump() {
    defer {
      (dump, structure, strangeLines) = (nil, nil, 0)
      (isLongCode, isAddressAnnounced, isNumbered) = (false, false, false)
    }
    guard var dump else { return }
    dump.width = dump.width ?? (dump[.r8] == nil ? .bits32 : .bits64)
    let shown = dump.registers.count + Set(dump.segments.keys).union(dump.selectors.keys).count
    let isOfException =
      dump.exception != nil && (dump[.rip] ?? dump[.cr2]) != nil && shown >= Self.fewestOfException || isNumbered
    guard shown >= Self.fewestRegisters || isOfException || dump.printer == .stackFrame && dump[.rip] != nil else {
      return
    }
    finished.append(dump)
  }

  private mutating func passOver() {
    guard dump != nil else { return }
    strangeLines += 1
    if strangeLines > Self.mostStrangeLines { endDump() }
  }

  private mutating func begin(_ line: Int) {
    strangeLines = 0
    if dump == nil {
      var new = RegisterDump(lines: line...line)
      new.printer = .another
      if let announced, line - announced.line <= Self.farthestWords {
        new.exception = RegisterDump.Exception(vector: announced.vector, errorCode: announcedCode)
        if announced.vector == .pageFault, let announcedAddress {
          new.registers[.cr2] = .init(announcedAddress, line: announced.line)
          isAddressAnnounced = true
        }
      }
      (announced, announcedAddress, announcedCode) = (nil, nil, nil)
      dump = new
    }
    let first = dump?.lines.lowerBound ?? line
    dump?.lines = first...line
  }

  // MARK: Words

  private mutating func note(_ line: LogLine) {
    var scanner = LineScanner(line.bytes)
    if scanner.skip(past: "Host CPUM state") || scanner.skip(past: "Hypervisor CPUM state") {
      endDump()
      isOfHost = true
    } else if scanner.skip(past: "Guest CPUM") {
      endDump()
      isOfHost = false
    } else if scanner.skip(past: "----[ Xen-") {
      // Xen arch/x86/x86_64/traps.c: show_registers, of the host or a guest's vCPU.
      endDump()
    } else if scanner.skip(past: "] CPU is in ") {
      endDump()
      begin(line.number)
      dump?.printer = .bochs
    } else if scanner.skip(past: "CS.mode = 64 bit"), dump?.printer == .bochs {
      isLongCode = true
    } else if scanner.skip(past: "Accessed Address: "), scanner.skip(past: "0x") {
      announcedAddress = scanner.hex()?.value
    } else if scanner.skip(past: "fault virtual address"), scanner.skip(past: "= 0x") {
      announcedAddress = scanner.hex()?.value
    } else if scanner.skip(past: "Error Code: ") {
      noteCode(scanner)
    } else if scanner.skip(past: "Exception Type - ") {
      endDump()
      isOfHost = false
      announced = scanner.hex().flatMap { UInt8(exactly: $0.value) }
        .map { (ExceptionVector(rawValue: $0), line.number) }
    } else if let vector = PrintedException.vector(in: line) {
      noteDetails(LineScanner(line.bytes))
      if dump == nil {
        announced = (vector, line.number)
      } else if dump?.exception == nil {
        dump?.exception = RegisterDump.Exception(vector: vector)
      }
    } else if scanner.skip(past: "rror code: ") {
      noteCode(scanner)
    } else if isAnnounced(at: line.number) {
      noteAddress(LineScanner(line.bytes))
    }
  }

  /// How programs name the address of a page fault, behind which a hexadecimal number follows: `addr: 0x18`, `address: 0000000000000018`.
  private static let namesOfAddress: [StaticString] = [
    "ddress 0x", "ddress: 0x", "ddress = 0x", "ddress=0x", "addr: 0x", "addr=0x", "addr 0x", "address: ",
    // SerenityOS.
    "ddress V0x", "ddress L0x",
  ]

  /// An error code as flags or as a number.
  private mutating func noteCode(_ line: LineScanner) {
    var (flags, number) = (line, line)
    announcedCode = PrintedException.errorCode(of: flags.text()) ?? number.prefixedHex().flatMap { UInt32(exactly: $0) }
    if dump?.exception?.vector == .pageFault, dump?.exception?.errorCode == nil {
      dump?.exception?.errorCode = announcedCode
    }
  }

  private mutating func noteAddress(_ line: LineScanner) {
    guard let address = Self.address(in: line) else { return }
    announcedAddress = address
  }

  private static func address(in line: LineScanner) -> UInt64? {
    var other = line
    guard !other.skip(past: "nstruction"), !other.skip(past: "eturn") else { return nil }
    for name in namesOfAddress {
      var scanner = line
      guard scanner.skip(past: name), let number = scanner.hex(), number.digits > 1 || number.value == 0 else {
        continue
      }
      return number.value
    }
    // What printf makes of a null pointer (glibc, %p).
    return other.skip(past: "address (nil)") ? 0 : nil
  }

  /// `PAGE FAULT at 0x222222220000, error PageFaultErrorCode(CAUSED_BY_WRITE)`, `GPF Error code: 0x0`.
  private mutating func noteDetails(_ line: LineScanner) {
    var (flags, number, place) = (line, line, line)
    var code: UInt32?
    if flags.skip(past: "PageFaultErrorCode(") {
      code = PrintedException.errorCode(of: "(" + flags.text())
    } else if number.skip(past: "rror code: 0x") || number.skip(past: "(error code 0x") {
      code = number.hex().flatMap { UInt32(exactly: $0.value) }
    }
    let address = Self.address(in: line) ?? (place.skip(past: " at 0x") ? place.hex()?.value : nil)
    // A second fault that is told brings its own.
    if code != nil, announcedCode != nil { announcedAddress = nil }
    if let address, let announcedAddress, address != announcedAddress { announcedCode = nil }
    announcedCode = code ?? announcedCode
    announcedAddress = address ?? announcedAddress
  }

  // MARK: Pairs

  private mutating func take(_ pair: PrintedPair, _ line: Int, isLone: Bool) {
    if case .number(let register) = pair.name, let known = dump?[register], known != pair.value {
      if register == .cr2, isAddressAnnounced {
        dump?.registers[.cr2] = nil
        isAddressAnnounced = false
      } else {
        guard !isLone else { return }
        endDump()
      }
    }
    begin(line)
    switch pair.name {
    case .number(let register):
      dump?.registers[register] = .init(pair.value, line: line)
      if pair.isWide, ![.rflags, .cr0, .cr2, .cr3, .cr4, .efer].contains(register) { dump?.width = .bits64 }
      if let selector = pair.selector { take(selector, register == .rip ? .cs : .ss) }
    case .segment(let register):
      if var segment = pair.segment {
        if isLongCode, register == .cs { segment.attributes.insert(.long) }
        dump?.segments[register] = .init(segment, line: line)
      }
      take(UInt16(truncatingIfNeeded: pair.value), register)
    case .table(let table):
      guard let limit = pair.limit, dump?[table] == nil else { return }
      dump?.descriptorTables[table] = .init(
        DescriptorTableRegister(base: LinearAddress(pair.value), limit: limit), line: line)
    case .vector:
      guard pair.value < 32 else { return }
      let code = dump?.exception?.errorCode
      dump?.exception = RegisterDump.Exception(
        vector: ExceptionVector(rawValue: UInt8(truncatingIfNeeded: pair.value)), errorCode: code)
    case .errorCode:
      guard let code = UInt32(exactly: pair.value), dump?.exception != nil else { return }
      dump?.exception?.errorCode = code
    }
  }

  private mutating func take(_ selector: UInt16, _ register: RegisterDump.SegmentRegister) {
    if dump?.selectors[register] == nil { dump?.selectors[register] = SegmentSelector(rawValue: selector) }
  }

  // MARK: Rows of kvmtool

  /// `cs        f000      00000000ffff0000  0000ffff  0b    1 0   0  1 0 0 0`, `gdt                 0000000000000000  0000ffff`.
  private mutating func takeRow(_ line: LogLine) -> Bool {
    guard dump != nil else { return false }
    let words = line.bytes.split(whereSeparator: Byte.isBlank).map { String(decoding: $0, as: UTF8.self).lowercased() }
    guard let name = words.first.flatMap({ PrintedName($0) }) else { return false }
    let numbers = words.dropFirst().map { UInt64($0, radix: 16) }
    switch (name, numbers.count) {
    case (.segment(let register), 11):
      guard let segment = Segment(row: numbers.compactMap { $0 }) else { return false }
      begin(line.number)
      dump?.segments[register] = .init(segment, line: line.number)
      take(segment.selector.rawValue, register)
      return true
    case (.table(let table), 2):
      guard let base = numbers[0], let limit = numbers[1].flatMap(UInt16.init(exactly:)) else { return false }
      begin(line.number)
      dump?.descriptorTables[table] = .init(.init(base: LinearAddress(base), limit: limit), line: line.number)
      return true
    default: return false
    }
  }

  // MARK: Structures of Rust

  private mutating func takeStructure(_ line: LogLine) -> Bool {
    var bytes = line.bytes
    if structure == nil {
      var scanner = LineScanner(line.bytes)
      let isFrame = scanner.skip(past: "StackFrame {")
      guard isFrame || scanner.skip(past: "kvm_regs {") || scanner.skip(past: "kvm_sregs {") else { return false }
      if isFrame { endDump() }
      begin(line.number)
      dump?.width = .bits64
      if isFrame { dump?.printer = .stackFrame }
      structure = StructureText()
      structure?.read([UInt8(ascii: "{")])
      bytes = scanner.rest
    }
    // Another structure may follow in the same line.
    structure?.read(bytes)
    begin(line.number)
    if let structure, structure.depth == 0 || structure.isEndless {
      take(structure, line.number)
      self.structure = nil
    }
    return true
  }

  private mutating func take(_ structure: StructureText, _ line: Int) {
    var parts: [String: UInt64] = [:]
    for (path, value) in structure.values where parts[path] == nil { parts[path] = value }
    for (path, value) in parts {
      let isIndex = path.hasSuffix(".index")
      guard let name = PrintedName(isIndex ? String(path.dropLast(6)) : path) else { continue }
      if isIndex, case .segment(let register) = name {
        let level = parts[path.dropLast(5) + "rpl"] ?? 0
        take(UInt16(truncatingIfNeeded: value << 3 | level & 3), register)
      }
      switch name {
      case .number(let register): dump?.registers[register] = .init(value, line: line)
      case .segment(let register) where !isIndex: take(UInt16(truncatingIfNeeded: value), register)
      default: continue
      }
    }
    for register in RegisterDump.SegmentRegister.allCases {
      let name = register.rawValue.lowercased()
      let fields = ["selector", "base", "limit", "type_", "present", "dpl", "db", "s", "l", "g", "avl"]
      guard let segment = Segment(row: fields.compactMap { parts["\(name).\($0)"] }) else { continue }
      dump?.segments[register] = .init(segment, line: line)
      take(segment.selector.rawValue, register)
    }
    for table in RegisterDump.DescriptorTable.allCases {
      let name = table.rawValue.lowercased()
      guard let base = parts["\(name).base"], let limit = parts["\(name).limit"].flatMap(UInt16.init(exactly:)) else {
        continue
      }
      dump?.descriptorTables[table] = .init(.init(base: LinearAddress(base), limit: limit), line: line)
    }
  }

  // MARK: Code

  /// `Code: 8b 40 04 <8b> 00 …`, as Linux prints it; kvmtool and Xen give the bytes a line of their own.
  private mutating func takeCode(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    guard dump != nil, dump?.code == nil else { return false }
    // SerenityOS prints those at EIP alone (Kernel/Arch/x86: handle_crash).
    if let atPointer = Self.namesOfCode.lazy.compactMap({ Self.rest(of: line, past: $0) }).first {
      var reader = CodeBytesReader(line: line.number)
      guard reader.read(atPointer.rest, wholeLine: true), reader.code.bytes.count >= Self.fewestBytes else {
        return false
      }
      dump?.code = CodeBytes(bytes: reader.code.bytes, marked: 0, line: line.number)
      begin(line.number)
      return true
    }
    let isNamed = scanner.skip(past: "Code: ") || scanner.skip("(XEN) ")
    guard isNamed || scanner.rest.contains(Byte.less) else { return false }
    var reader = CodeBytesReader(line: line.number)
    _ = reader.read(scanner.rest, wholeLine: false)
    guard reader.code.marked != nil, reader.code.bytes.count >= Self.fewestBytes else { return false }
    dump?.code = reader.code
    begin(line.number)
    return true
  }

  /// How kernels name the bytes at RIP, with none before it.
  private static let namesOfCode: [StaticString] = [
    "code: ", "bytes at rip: ", "bytes at RIP: ", "bytes at eip: ", "bytes at EIP: ",
  ]

  /// What follows a name, where it is more than one word.
  private static func rest(of line: LogLine, past name: StaticString) -> LineScanner? {
    var scanner = LineScanner(line.bytes)
    return scanner.skip(past: name) && scanner.rest.contains(where: Byte.isBlank) ? scanner : nil
  }

  /// `(0).[49935377] [0x000000104051] 0008:ffff800000104051 (unk. ctxt): movdqa xmm0, … ; 66410f6f0417`.
  private mutating func takeInstruction(_ line: LogLine) -> Bool {
    guard dump?.printer == .bochs, dump?.code == nil, let rip = dump?[.rip] else { return false }
    var scanner = LineScanner(line.bytes)
    guard scanner.skip("("), scanner.skip(past: "] "), scanner.skip(past: " "), scanner.hex() != nil, scanner.skip(":"),
      scanner.hex()?.value == rip, let mark = scanner.rest.lastIndex(of: UInt8(ascii: ";"))
    else { return false }
    let digits = scanner.rest[(mark + 1)...].filter { !Byte.isBlank($0) }
    var reader = CodeBytesReader(line: line.number)
    guard reader.read(digits[...], wholeLine: true), !reader.code.bytes.isEmpty else { return false }
    dump?.code = CodeBytes(bytes: reader.code.bytes, marked: 0, line: line.number)
    begin(line.number)
    return true
  }
}

extension Segment {
  /// Selector, base, limit, type, P, DPL, D/B, S, L, G and AVL; nil where one does not fit.
  fileprivate init?(row values: [UInt64]) {
    guard values.count == 11, let selector = UInt16(exactly: values[0]), let limit = UInt32(exactly: values[2]),
      values[3] <= 0xF, values[5] <= 3, [4, 6, 7, 8, 9, 10].allSatisfy({ values[$0] <= 1 })
    else { return nil }
    let bits: [(Int, UInt64)] = [(3, 8), (7, 12), (5, 13), (4, 15), (10, 20), (8, 21), (6, 22), (9, 23)]
    let attributes = bits.reduce(UInt64(0)) { $0 | values[$1.0] << $1.1 }
    self.init(
      selector: SegmentSelector(rawValue: selector), base: values[1], limit: limit,
      attributes: SegmentAttributes(rawValue: UInt32(truncatingIfNeeded: attributes)))
  }
}
