import Files
import SystemPackage

/// A trace.dat of trace-cmd, version 6 or 7, opened.
struct TraceDatFile: Sendable {
  private(set) var memory: MappedMemory
  private(set) var context: TraceContext
  /// For each buffer and CPU that has data, in this order.
  private(set) var data: [CPUData] = []
  private(set) var clock = TraceClock()
  /// The text of a latency trace, which is recorded instead of pages.
  private(set) var latencyText: FileSection?

  private var compression = TraceDatCompression.none
  private(set) var layout: RingBufferLayout
  /// The place of each instance's tables in a version 6 file.
  private var instances: [(offset: UInt64, name: String)] = []
  private var cpuCount = 0

  static let magic: [UInt8] = [0x17, 0x08, 0x44] + Array("tracing".utf8)

  /// Reads all that describes the trace. The events are not touched.
  ///
  /// - Parameter problem: what is already known to be wrong with the input.
  init(_ memory: MappedMemory, problem: TraceFileError? = nil) throws(TraceFileError) {
    self.memory = memory
    var head = ByteReader(memory.bytes)
    guard memory.bytes.hasPrefix(Self.magic) else { throw head.error("this is no trace.dat") }
    try head.skip(Self.magic.count, "the magic number")
    let versionOffset = head.fileOffset
    let versionText = try head.cString("the version")
    guard let version = Int(versionText), (1...7).contains(version) else {
      throw TraceFileError("trace.dat version \(versionText) is not known; versions 6 and 7 are", at: versionOffset)
    }
    let byteOrder: ByteOrder = try head.integer(UInt8.self, "the byte order") == 0 ? .littleEndian : .bigEndian
    let longSize = Int(try head.integer(UInt8.self, "the size of long"))
    guard longSize == 4 || longSize == 8 else { throw head.error("a long of \(longSize) bytes is none") }
    let machine = RecordingMachine(byteOrder: byteOrder, longSize: longSize)
    var reader = ByteReader(memory.bytes, byteOrder: byteOrder, at: head.offset)
    let pageSize = Int(try reader.integer(UInt32.self, "the page size"))
    context = TraceContext(kind: .traceDat(version: version), machine: machine)
    context.problems = [problem].compactMap(\.self)
    layout = RingBufferLayout(machine: machine, pageSize: pageSize)
    if version < 7 {
      try readVersion6(&reader)
    } else {
      compression = TraceDatCompression(name: try reader.cString("the compression"))
      _ = try reader.cString("the version of the compression")
      readVersion7(firstOptions: try reader.integer(UInt64.self, "the place of the options"))
    }
    if context.buffers.isEmpty {
      context.buffers.append(TraceBuffer(name: "", clock: context.clock, cpuCount: cpuCount))
    }
    data.sort { ($0.buffer, $0.cpu) < ($1.buffer, $1.cpu) }
  }

  private mutating func note(_ problem: TraceFileError) { context.problems.append(problem) }

  // MARK: Version 6

  private mutating func readVersion6(_ reader: inout ByteReader) throws(TraceFileError) {
    try readHeaderInfo(&reader)
    try readFtraceFormats(&reader)
    try readEventFormats(&reader)
    let symbolCount = try reader.integer(UInt32.self, "the size of kallsyms")
    let symbols = FileSection(
      memory: memory, range: reader.offset..<reader.offset + Int(symbolCount), byteOrder: context.machine.byteOrder)
    try reader.skip(symbolCount, "kallsyms")
    context.symbols = KernelSymbols { () throws(TraceFileError) in try symbols.text() }
    try readPrintkFormats(&reader)
    try readCommandLines(&reader)
    cpuCount = Int(try reader.integer(UInt32.self, "the number of CPUs"))
    do throws(TraceFileError) {
      let tag = try readTagAfterOptions(&reader)
      guard !tag.hasPrefix("latency") else {
        latencyText = FileSection(
          memory: memory, range: reader.offset..<memory.byteCount, byteOrder: context.machine.byteOrder)
        return
      }
      guard tag.hasPrefix("flyrecord") else { throw reader.error("neither options nor events come next, but \(tag)") }
      context.buffers.append(TraceBuffer(name: "", clock: context.clock, cpuCount: cpuCount))
      try readTable(&reader, buffer: 0)
      for instance in instances { try readInstance(instance) }
    } catch {
      note(error)
    }
  }

  private mutating func readTagAfterOptions(_ reader: inout ByteReader) throws(TraceFileError) -> String {
    let tag = try reader.block(10, "the kind of what follows").cString
    guard tag.hasPrefix("options") else { return tag }
    while true {
      let id = try reader.integer(UInt16.self, "an option")
      guard id != 0 else { break }
      let size = try reader.integer(UInt32.self, "an option's size")
      let offset = reader.fileOffset
      try readOption(id, try reader.block(size, "option \(id)"), at: offset)
    }
    return try reader.block(10, "the kind of what follows").cString
  }

  private mutating func readInstance(_ instance: (offset: UInt64, name: String)) throws(TraceFileError) {
    guard let offset = Int(exactly: instance.offset), offset <= memory.byteCount else {
      throw TraceFileError("the buffer \(instance.name) is said to lie at \(instance.offset), past the file's end")
    }
    // A constant of its own, so that reading it leaves the rest of self free to change.
    let memory = memory
    var reader = ByteReader(memory.bytes, byteOrder: context.machine.byteOrder, at: offset)
    let topCount = cpuCount
    let tag = try readTagAfterOptions(&reader)
    guard tag.hasPrefix("flyrecord") else { throw reader.error("the buffer \(instance.name) has no events") }
    context.buffers.append(TraceBuffer(name: instance.name, clock: context.clock, cpuCount: cpuCount))
    try readTable(&reader, buffer: context.buffers.count - 1)
    cpuCount = topCount
  }

  private mutating func readTable(_ reader: inout ByteReader, buffer: Int) throws(TraceFileError) {
    // Each row takes 16 bytes, so that a false count ends with the file.
    for cpu in 0..<cpuCount {
      let offset = try reader.integer(UInt64.self, "the place of CPU \(cpu)'s events")
      let size = try reader.integer(UInt64.self, "the size of CPU \(cpu)'s events")
      add(cpu: cpu, buffer: buffer, offset: offset, size: size, layout: layout, compression: .none)
    }
  }

  /// Takes the data of a CPU, or what the file still has of it.
  private mutating func add(
    cpu: Int, buffer: Int, offset: UInt64, size: UInt64, layout: RingBufferLayout, compression: TraceDatCompression
  ) {
    guard size > 0 else { return }
    // The size of compressed data leaves out the number of chunks that comes first (trace-cmd 3.1.6).
    let size = compression == .none ? size : size.addingReportingOverflow(4).partialValue
    guard layout.isUsable else {
      note(TraceFileError("CPU \(cpu): ring-buffer pages of \(layout.pageSize) bytes are not possible"))
      return
    }
    guard let start = Int(exactly: offset), start < memory.byteCount else {
      note(
        TraceFileError("CPU \(cpu): the events should begin at \(offset), past the file's end", at: memory.byteCount))
      return
    }
    var end = memory.byteCount
    if size <= UInt64(memory.byteCount - start) {
      end = start + Int(size)
    } else {
      note(
        TraceFileError(
          "CPU \(cpu): the file ends \(size - UInt64(memory.byteCount - start)) bytes before the end of its events",
          at: memory.byteCount))
    }
    data.append(CPUData(buffer: buffer, cpu: cpu, range: start..<end, layout: layout, compression: compression))
  }

  // MARK: Version 7

  private mutating func readVersion7(firstOptions: UInt64) {
    var next = firstOptions
    var seen: Set<UInt64> = []
    var sections: [(id: UInt16, offset: UInt64)] = []
    do throws(TraceFileError) {
      while next != 0 {
        guard seen.insert(next).inserted else {
          throw TraceFileError("the options lead back to themselves", at: Int(truncatingIfNeeded: next))
        }
        next = try readOptionsSection(at: next, &sections)
      }
    } catch {
      note(error)
    }
    for section in sections {
      do throws(TraceFileError) { try read(section.id, try self.section(section.id, at: section.offset)) } catch {
        note(error)
      }
    }
    // The page size of a buffer is known from its option; what else header_page says came after the options.
    for index in data.indices {
      let pageSize = data[index].layout.pageSize
      data[index].layout = layout
      data[index].layout.pageSize = pageSize
    }
    data.removeAll { !$0.layout.isUsable }
  }

  /// Reads one options section and gives the place of the next, 0 for none.
  private mutating func readOptionsSection(
    at offset: UInt64, _ sections: inout [(id: UInt16, offset: UInt64)]
  ) throws(TraceFileError) -> UInt64 {
    let section = try self.section(0, at: offset)
    let body = try section.plain()
    var reader = ByteReader(
      body.memory.bytes.extracting(body.range), byteOrder: context.machine.byteOrder, base: section.range.lowerBound)
    while true {
      let id = try reader.integer(UInt16.self, "an option")
      let size = try reader.integer(UInt32.self, "an option's size")
      let place = reader.fileOffset
      let data = try reader.block(size, "option \(id)")
      switch id {
      case 0:
        var done = ByteReader(data, byteOrder: context.machine.byteOrder, base: place)
        return try done.integer(UInt64.self, "the place of the next options")
      case 16...21:
        var option = ByteReader(data, byteOrder: context.machine.byteOrder, base: place)
        sections.append((id, try option.integer(UInt64.self, "the place of section \(id)")))
      default:
        // An option that is wrong in itself leaves the others readable.
        do throws(TraceFileError) { try readOption(id, data, at: place) } catch { note(error) }
      }
    }
  }

  /// The body of a section, by the offset of its head: u16 id, u16 flags, u32 description, u64 size.
  ///
  /// A section that may be cut gives what the file still has of it.
  private func section(
    _ id: UInt16, at offset: UInt64, mayBeCut: Bool = false
  ) throws(TraceFileError) -> FileSection {
    guard let start = Int(exactly: offset), start <= memory.byteCount else {
      throw TraceFileError(
        "section \(id) is said to lie at \(offset), past the file's end: the file is cut off", at: memory.byteCount)
    }
    var reader = ByteReader(memory.bytes, byteOrder: context.machine.byteOrder, at: start)
    let found = try reader.integer(UInt16.self, "a section")
    guard found == id else {
      throw TraceFileError("here should be section \(id), but the number is \(found)", at: start)
    }
    let flags = try reader.integer(UInt16.self, "a section's flags")
    try reader.skip(4, "a section's description")
    let size = try reader.integer(UInt64.self, "a section's size")
    let bodyStart = reader.offset
    try reader.skip(mayBeCut ? min(size, UInt64(reader.remaining)) : size, "section \(id)")
    return FileSection(
      memory: memory, range: bodyStart..<reader.offset,
      compression: flags & 1 != 0 ? compression : nil, byteOrder: context.machine.byteOrder)
  }

  private mutating func read(_ id: UInt16, _ section: FileSection) throws(TraceFileError) {
    if id == 19 {
      context.symbols = KernelSymbols { () throws(TraceFileError) in
        let body = try section.plain()
        var reader = ByteReader(body.memory.bytes.extracting(body.range), byteOrder: section.byteOrder)
        return try reader.block(try reader.integer(UInt32.self, "the size of kallsyms"), "kallsyms").copied
      }
      return
    }
    let body = try section.plain()
    var reader = ByteReader(
      body.memory.bytes.extracting(body.range), byteOrder: context.machine.byteOrder, base: section.range.lowerBound)
    switch id {
    case 16: try readHeaderInfo(&reader)
    case 17: try readFtraceFormats(&reader)
    case 18: try readEventFormats(&reader)
    case 20: try readPrintkFormats(&reader)
    case 21: try readCommandLines(&reader)
    default: break
    }
  }

  // MARK: What both versions hold

  private mutating func readHeaderInfo(_ reader: inout ByteReader) throws(TraceFileError) {
    for name in ["header_page", "header_event"] {
      let found = try reader.cString("\(name)'s name")
      guard found == name else { throw reader.error("\(name) should come here") }
      let size = try reader.integer(UInt64.self, "the size of \(name)")
      let text = try reader.block(size, name).copied
      if name == "header_page" { context.headerPage = text } else { context.headerEvent = text }
    }
    layout.apply(headerPage: context.headerPage)
  }

  private mutating func readFtraceFormats(_ reader: inout ByteReader) throws(TraceFileError) {
    let count = try reader.integer(UInt32.self, "the number of ftrace events")
    for _ in 0..<count { try readFormat(&reader, system: "ftrace") }
  }

  private mutating func readEventFormats(_ reader: inout ByteReader) throws(TraceFileError) {
    let systems = try reader.integer(UInt32.self, "the number of event systems")
    for _ in 0..<systems {
      let system = try reader.cString("an event system's name")
      let count = try reader.integer(UInt32.self, "the number of events of \(system)")
      for _ in 0..<count { try readFormat(&reader, system: system) }
    }
  }

  private mutating func readFormat(_ reader: inout ByteReader, system: String) throws(TraceFileError) {
    let size = try reader.integer(UInt64.self, "the size of an event's format")
    context.events.append(system: system, formatText: try reader.block(size, "an event's format").copied)
  }

  private mutating func readPrintkFormats(_ reader: inout ByteReader) throws(TraceFileError) {
    let size = try reader.integer(UInt32.self, "the size of the printk formats")
    context.printkFormats = try reader.block(size, "the printk formats").copied
  }

  private mutating func readCommandLines(_ reader: inout ByteReader) throws(TraceFileError) {
    let size = try reader.integer(UInt64.self, "the size of the command lines")
    add(commandLines: try reader.block(size, "the command lines").copied)
  }

  private(set) var tasks = TaskTable()

  // MARK: A recording that goes on

  /// What a trace.dat of this metadata says of itself; it holds no events.
  init(_ metadata: TraceDatMetadata) throws(Errno) {
    memory = try .buffer(byteCount: 0)
    context = TraceContext(kind: .traceDat(version: 7), machine: metadata.machine)
    context.headerPage = metadata.headerPage
    layout = RingBufferLayout(machine: metadata.machine, pageSize: metadata.pageSize)
    layout.apply(headerPage: metadata.headerPage)
    cpuCount = metadata.cpuCount
    for (system, formats) in [("ftrace", metadata.ftraceFormats)] + metadata.systems {
      for format in formats { context.events.append(system: system, formatText: format) }
    }
    let symbols = metadata.symbols
    context.symbols = KernelSymbols { () throws(TraceFileError) in symbols }
    context.printkFormats = metadata.printkFormats
    readTraceClock(metadata.clocks)
    context.buffers.append(TraceBuffer(name: "", clock: context.clock, cpuCount: cpuCount))
    add(commandLines: metadata.commandLines)
  }

  /// Adds the names of threads: lines `PID NAME`.
  mutating func add(commandLines: [UInt8]) { tasks.add(commandLines: commandLines, to: context.taskNames) }

  /// The same trace with these pages for events, by CPU.
  func holding(_ pages: [Int: [UInt8]]) throws(Errno) -> TraceDatFile {
    let memory = try MappedMemory.buffer(byteCount: pages.values.reduce(0) { $0 + $1.count })
    var place = 0
    var data: [CPUData] = []
    for (cpu, bytes) in pages.sorted(by: { $0.key < $1.key }) {
      // The buffer has room for exactly these pages.
      unsafe memory.withUnsafeMutableBytes { room in
        unsafe UnsafeMutableRawBufferPointer(rebasing: room[place..<(place + bytes.count)]).copyBytes(from: bytes)
      }
      data.append(
        CPUData(buffer: 0, cpu: cpu, range: place..<(place + bytes.count), layout: layout, compression: .none))
      place += bytes.count
    }
    var file = self
    file.memory = memory
    file.data = data
    return file
  }

  /// Reads an option other than those that give the place of a section.
  private mutating func readOption(_ id: UInt16, _ data: RawSpan, at offset: Int) throws(TraceFileError) {
    var reader = ByteReader(data, byteOrder: context.machine.byteOrder, base: offset)
    switch id {
    case 1:
      // Microseconds (trace-input.c: handle_options).
      clock.offset = clock.offset &+ UInt64(bitPattern: Self.integer(data.cString) ?? 0) &* 1000
    case 2: context.host.bufferStatistics.append(data.cString)
    case 3: try readBuffer(&reader)
    case 4: readTraceClock(data.cString)
    case 5:
      context.host.uname = data.cString
      let words = data.cString.split(separator: " ")
      if words.count >= 4 {
        context.host.hostname = String(words[1])
        context.host.release = String(words[2])
        context.host.architecture = String(words[3])
      }
    case 7: clock.offset = clock.offset &+ UInt64(bitPattern: Self.integer(data.cString) ?? 0)
    case 8: cpuCount = Int(try reader.integer(UInt32.self, "the number of CPUs"))
    case 9: context.host.recorder = "trace-cmd " + data.cString
    case 12: try readTimeShift(&reader)
    case 14:
      let multiplier = try reader.integer(UInt32.self, "the TSC's multiplier")
      let shift = try reader.integer(UInt32.self, "the TSC's shift")
      clock.scale = multiplier == 0 ? nil : TraceClock.TSCScale(multiplier: multiplier, shift: shift)
      context.isTSCScaled = multiplier != 0
    case 22 where context.kind == .traceDat(version: 7):
      let place = try reader.integer(UInt64.self, "the place of a latency trace")
      let section = try self.section(22, at: place)
      latencyText = section
    default: break
    }
  }

  /// The clock in brackets is the one in use; the file is that of tracefs.
  private mutating func readTraceClock(_ text: String) {
    for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) where word.hasPrefix("[") {
      context.clock = String(word.drop { $0 == "[" }.prefix { $0 != "]" })
    }
  }

  private mutating func readBuffer(_ reader: inout ByteReader) throws(TraceFileError) {
    let place = try reader.integer(UInt64.self, "the place of a buffer")
    let name = try reader.cString("a buffer's name")
    guard context.kind == .traceDat(version: 7) else {
      instances.append((place, name))
      return
    }
    let clockName = try reader.cString("a buffer's clock")
    let pageSize = Int(try reader.integer(UInt32.self, "a buffer's page size"))
    let rows = try reader.integer(UInt32.self, "a buffer's number of CPUs")
    let section = try self.section(3, at: place, mayBeCut: true)
    if name.isEmpty, context.clock == nil { context.clock = clockName }
    let buffer = context.buffers.count
    context.buffers.append(TraceBuffer(name: name, clock: clockName, cpuCount: cpuCount))
    var bufferLayout = layout
    bufferLayout.pageSize = pageSize
    // Each row takes 20 bytes, so that a false count ends with the option.
    for _ in 0..<rows {
      let cpu = Int(try reader.integer(UInt32.self, "a CPU's number"))
      let offset = try reader.integer(UInt64.self, "the place of CPU \(cpu)'s events")
      let size = try reader.integer(UInt64.self, "the size of CPU \(cpu)'s events")
      context.buffers[buffer].cpuCount = max(context.buffers[buffer].cpuCount, min(cpu, 1 << 20) + 1)
      add(
        cpu: cpu, buffer: buffer, offset: offset, size: size, layout: bufferLayout,
        compression: section.compression ?? .none)
    }
  }

  /// trace-input.c: tsync_cpu_offsets_load.
  private mutating func readTimeShift(_ reader: inout ByteReader) throws(TraceFileError) {
    try reader.skip(8, "the host's trace id")
    clock.interpolatesShifts = try reader.integer(UInt32.self, "the flags of the time shifts") & 1 != 0
    let cpus = try reader.integer(UInt32.self, "the number of CPUs with time shifts")
    var shifts: [[TraceClock.TimeShift]] = []
    for _ in 0..<cpus {
      let count = try reader.integer(UInt32.self, "the number of time shifts")
      guard Int(count) <= reader.remaining / 24 else { throw reader.error("there cannot be \(count) time shifts") }
      let times = try reader.words(count, "the times of the time shifts")
      let offsets = try reader.words(count, "the time shifts")
      let scalings = try reader.words(count, "the scalings of the time shifts")
      shifts.append(
        times.indices.map {
          TraceClock.TimeShift(
            time: times[$0], offset: Int64(bitPattern: offsets[$0]), scaling: scalings[$0], fractionBits: 0)
        })
    }
    for cpu in shifts.indices where reader.remaining > 0 {
      for index in shifts[cpu].indices {
        shifts[cpu][index].fractionBits = try reader.integer(UInt64.self, "the fraction bits of the time shifts")
      }
    }
    for cpu in shifts.indices { shifts[cpu].sort { $0.time < $1.time } }
    clock.shifts = shifts
  }

  /// An integer in C notation, as strtoll reads it with base 0.
  private static func integer(_ text: String) -> Int64? {
    var digits = text.drop { $0 == " " }.prefix { $0 == "-" || $0 == "+" || $0.isHexDigit || $0 == "x" }[...]
    let isNegative = digits.first == "-"
    if isNegative || digits.first == "+" { digits = digits.dropFirst() }
    let magnitude = digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
    guard let magnitude else { return nil }
    let value = Int64(bitPattern: magnitude)
    return isNegative ? 0 &- value : value
  }
}

/// A section of a file, plain or in chunks.
struct FileSection: Sendable {
  var memory: MappedMemory
  /// The body in the file.
  var range: Range<Int>
  /// How it is compressed; nil if it is not.
  var compression: TraceDatCompression?
  var byteOrder: ByteOrder

  /// The body itself. A compressed one is decompressed into memory of its own; it is one chunk.
  func plain() throws(TraceFileError) -> (memory: MappedMemory, range: Range<Int>) {
    guard let compression else { return (memory, range) }
    do {
      let chunk = try Chunk(memory.bytes, at: range.lowerBound, before: range.upperBound, byteOrder)
      let buffer = try MappedMemory.buffer(byteCount: chunk.plainSize)
      let decoder = try compression.makeDecoder()
      let count = try decoder.decode(memory.bytes.extracting(chunk.data), into: buffer)
      return (buffer, 0..<min(count, buffer.byteCount))
    } catch let error as TraceFileError {
      throw TraceFileError("a compressed section cannot be read: \(error.what)", at: range.lowerBound)
    } catch {
      throw TraceFileError("a compressed section cannot be read: its head is wrong", at: range.lowerBound)
    }
  }

  /// The whole body as text.
  func text() throws(TraceFileError) -> [UInt8] {
    let body = try plain()
    return body.memory.bytes.extracting(body.range).copied
  }
}
