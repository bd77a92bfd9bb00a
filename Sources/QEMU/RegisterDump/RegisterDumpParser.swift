import X86

/// Finds register dumps in a log, line by line.
///
/// Names are looked for anywhere in a line, so that log prefixes do not matter; a value counts only where it has the
/// digits QEMU prints. Values that a terminal or mailer broke over two lines are joined.
struct RegisterDumpParser {
  /// How many other lines (of the guest's console, say) may stand inside a dump.
  private static let mostStrangeLines = 3

  private var dump: RegisterDump?
  private var rank = 0
  private var strangeLines = 0
  private var hasForeignMessages = false
  private var announcedCPU: Int?
  private var codeReader: CodeBytesReader?
  private var cutOff: CutOff?
  /// The line holds a register's name with a value that QEMU does not print.
  private var hasForeignValue = false

  /// The dump has RFL with sixteen digits.
  private var isForeign = false

  /// A value that the end of a line cut off.
  private struct CutOff {
    var item: DumpItem
    var name: String
    /// What of the value there was.
    var bytes: [UInt8]
    var line: Int
  }

  /// The dumps that ended, in order.
  private(set) var finished: [RegisterDump] = []

  /// Says that the next dump is that of processor `cpu`.
  mutating func announce(cpu: Int) {
    endDump()
    announcedCPU = cpu
  }

  /// The first line of the dump that has begun.
  var firstLine: Int? { dump?.lines.lowerBound }

  /// Drops the dump if it is another program's that has QEMU's names: RFL has eight digits in every version of QEMU. False where it is QEMU's.
  mutating func dropForeign() -> Bool {
    guard isForeign else { return false }
    (dump, cutOff, isForeign) = (nil, nil, false)
    endDump()
    return true
  }

  /// Whether a dump has begun whose rest may still come: its code would be the end.
  var isInside: Bool { dump != nil && codeReader == nil }

  /// Takes a line of somebody else's, as another vCPU's error: QEMU prints them from the threads of the vCPUs, line by line.
  mutating func takeForeign() {
    dropCutOff()
    hasForeignMessages = true
  }

  /// Takes a line that is nothing but perhaps part of a dump. False where it has nothing of one.
  mutating func take(_ line: LogLine) -> Bool {
    if let cpu = Self.header(line) {
      announce(cpu: cpu)
      return true
    }
    if continueCode(line) || continueCutOff(line) || takeItems(line.bytes, line: line.number) { return true }
    takeStrange(line)
    return false
  }

  /// Ends the dump, if there is one: something else begins.
  mutating func endDump() {
    endCode()
    dropCutOff()
    if let dump { finished.append(dump) }
    dump = nil
    isForeign = false
    announcedCPU = nil
    strangeLines = 0
    hasForeignMessages = false
    rank = 0
  }

  /// Hands over what has ended.
  mutating func takeFinished() -> [RegisterDump] {
    defer { finished = [] }
    return finished
  }

  /// `CPU#0`, alone on its line.
  private static func header(_ line: LogLine) -> Int? {
    var scanner = LineScanner(line.bytes)
    guard scanner.skip("CPU#"), let cpu = scanner.decimal(), scanner.isAtEnd else { return nil }
    return cpu
  }

  // MARK: Items

  /// Reads every item of the line; false where there is none.
  private mutating func takeItems(_ bytes: ArraySlice<UInt8>, line: Int) -> Bool {
    var found = false
    hasForeignValue = false
    var rest = bytes
    while let equals = rest.firstIndex(of: Byte.equals) {
      let after = bytes[(equals + 1)...]
      guard let name = Self.name(before: equals, in: bytes), let item = DumpItem(name: name) else {
        rest = after
        continue
      }
      var scanner = LineScanner(after)
      let isTaken = take(item, name: name, &scanner, line: line)
      found = found || isTaken
      rest = scanner.rest
    }
    if hasForeignValue, dump == nil || dump?.lines.lowerBound == line {
      // What would begin with such a line is somebody else's dump (the kernel's of a VMCS, say).
      dump = nil
      cutOff = nil
      return false
    }
    return found
  }

  /// The letters and digits before `=`, which one blank may follow (`R8 =`, `ES =`).
  private static func name(before equals: Int, in bytes: ArraySlice<UInt8>) -> String? {
    var end = equals
    if end > bytes.startIndex, Byte.isBlank(bytes[end - 1]) { end -= 1 }
    var start = end
    while start > bytes.startIndex, Byte.isWord(bytes[start - 1]) {
      start -= 1
      if end - start > 8 { return nil }
    }
    return start < end ? String(decoding: bytes[start..<end], as: UTF8.self) : nil
  }

  /// Reads one item's value; false where it is no part of a dump.
  private mutating func take(_ item: DumpItem, name: String, _ scanner: inout LineScanner, line: Int) -> Bool {
    guard dump != nil || item.canBegin else { return false }
    if case .code = item { return takeCode(&scanner, line: line) }
    let start = scanner.rest
    switch DumpValue.read(item, &scanner) {
    case .complete(let value):
      store(value, of: item, name: name, line: line)
      return true
    case .cutOff:
      cutOff = CutOff(item: item, name: name, bytes: Array(start), line: line)
      return true
    case .invalid:
      hasForeignValue = true
      var copy = scanner
      if case .number(.rflags, _, _) = item, dump != nil, copy.hex()?.digits == 16 { isForeign = true }
      guard dump != nil, item.canBegin else { return false }
      dump?.problems.append(.init(line: line, text: "\(name) has a value that QEMU does not print"))
      return true
    }
  }

  private mutating func store(_ value: DumpValue, of item: DumpItem, name: String, line: Int) {
    begin(with: item, line: line)
    switch (item, value) {
    case (.number(let register, _, let width), .number(let number)):
      dump?.registers[register] = .init(number, line: line)
      if let width { dump?.width = width }
    case (.segment(let register), .segment(let segment)):
      dump?.segments[register] = .init(segment, line: line)
    case (.descriptorTable(let table), .descriptorTable(let base, let limit)):
      if limit > 0xFFFF {
        dump?.problems.append(
          .init(line: line, text: "the limit of \(name) has more than 16 bits; the rest is left out"))
      }
      let register = DescriptorTableRegister(base: LinearAddress(base), limit: UInt16(truncatingIfNeeded: limit))
      dump?.descriptorTables[table] = .init(register, line: line)
    case (.conditionCodeOperation, .text(let operation)): dump?.conditionCodeOperation = operation
    default: break
    }
  }

  /// Makes sure that there is a dump that `item` can belong to.
  private mutating func begin(with item: DumpItem, line: Int) {
    if let dump, item.rank < rank || dump.has(item) || dump.contradictsWidth(of: item) { endDump() }
    rank = item.rank
    guard let open = dump else {
      var new = RegisterDump(lines: line...line)
      new.cpu = announcedCPU
      announcedCPU = nil
      dump = new
      return
    }
    if strangeLines > 0 {
      let count = strangeLines == 1 ? "another line stands" : "\(strangeLines) other lines stand"
      dump?.problems.append(.init(line: line, text: "\(count) inside the dump"))
    }
    strangeLines = 0
    if hasForeignMessages {
      dump?.problems.append(.init(line: line, text: "an error of another vCPU stands inside the dump"))
    }
    hasForeignMessages = false
    dump?.lines = open.lines.lowerBound...max(line, open.lines.upperBound)
  }

  // MARK: Broken lines

  /// Joins a value that the line before left incomplete with this line.
  private mutating func continueCutOff(_ line: LogLine) -> Bool {
    guard let cut = cutOff else { return false }
    if line.bytes.isEmpty { return true }
    cutOff = nil
    for separator in [[], [UInt8(ascii: " ")]] {
      let joined = cut.bytes + separator + line.bytes
      var scanner = LineScanner(joined[...])
      guard case .complete(let value) = DumpValue.read(cut.item, &scanner) else { continue }
      store(value, of: cut.item, name: cut.name, line: cut.line)
      if let dump { self.dump?.lines = dump.lines.lowerBound...max(line.number, dump.lines.upperBound) }
      _ = takeItems(scanner.rest, line: line.number)
      return true
    }
    reportCutOff(cut)
    return false
  }

  private mutating func dropCutOff() {
    guard let cut = cutOff else { return }
    cutOff = nil
    reportCutOff(cut)
  }

  private mutating func reportCutOff(_ cut: CutOff) {
    dump?.problems.append(.init(line: cut.line, text: "\(cut.name) is cut off"))
  }

  // MARK: Code

  private mutating func takeCode(_ scanner: inout LineScanner, line: Int) -> Bool {
    var reader = CodeBytesReader(line: line)
    _ = reader.read(scanner.rest, wholeLine: false)
    guard !reader.code.bytes.isEmpty else { return false }
    begin(with: .code, line: line)
    codeReader = reader
    while !scanner.isAtEnd { scanner.skipByte() }
    return true
  }

  private mutating func continueCode(_ line: LogLine) -> Bool {
    guard var reader = codeReader else { return false }
    if !reader.isComplete, !line.bytes.isEmpty, reader.read(line.bytes, wholeLine: true) {
      codeReader = reader
      if let dump { self.dump?.lines = dump.lines.lowerBound...line.number }
      return true
    }
    endDump()
    return false
  }

  private mutating func endCode() {
    guard let reader = codeReader else { return }
    codeReader = nil
    dump?.code = reader.code
    if reader.code.marked == nil {
      dump?.problems.append(.init(line: reader.code.line, text: "no byte of Code is marked with <>"))
    }
  }

  // MARK: Other lines

  /// A line without any item: the end of a segment's line that was broken, or something foreign.
  private mutating func takeStrange(_ line: LogLine) {
    guard dump != nil, !line.bytes.isEmpty else { return }
    var scanner = LineScanner(line.bytes)
    if scanner.skip("DPL=") || scanner.skip("[") { return }
    strangeLines += 1
    if strangeLines > Self.mostStrangeLines { endDump() }
  }
}

extension RegisterDump {
  /// Whether the dump already shows what `item` names.
  fileprivate func has(_ item: DumpItem) -> Bool {
    switch item {
    case .number(let register, _, _): registers[register] != nil
    case .segment(let segment): segments[segment] != nil
    case .descriptorTable(let table): descriptorTables[table] != nil
    case .conditionCodeOperation: conditionCodeOperation != nil
    case .floatingPoint: false
    case .code: code != nil
    }
  }

  /// Whether one names 64-bit registers and the other 32-bit ones.
  fileprivate func contradictsWidth(of item: DumpItem) -> Bool {
    guard case .number(_, _, let other?) = item, let width else { return false }
    return width != other
  }
}
