import Files

/// A perf.data of perf, in file or pipe form, opened.
struct PerfDataFile: Sendable {
  /// The file, or the temporary file that its records were decompressed to.
  private(set) var memory: MappedMemory
  private(set) var context: TraceContext
  private(set) var attributes: [PerfAttribute] = []
  /// Where the records lie in `memory`.
  private(set) var records: Range<Int>
  private(set) var damage: TraceDamage?

  static let magic = Array("PERFILE2".utf8)
  private static let headerSize = 104
  private static let pipeHeaderSize = 16

  private var byteOrder: ByteOrder { context.machine.byteOrder }
  private var descriptions: [EventDescription] = []
  private var isCompressed = false

  /// Reads all that describes the trace. The records are touched only if they are compressed.
  init(_ memory: MappedMemory, problem: TraceFileError? = nil) throws(TraceFileError) {
    self.memory = memory
    let byteOrder: ByteOrder = memory.bytes.hasPrefix(Self.magic) ? .littleEndian : .bigEndian
    // perf writes no size of long; that of the tracing data replaces this one.
    context = TraceContext(kind: .perfData, machine: RecordingMachine(byteOrder: byteOrder, longSize: 8))
    context.problems = [problem].compactMap(\.self)
    records = 0..<0
    var reader = ByteReader(memory.bytes, byteOrder: byteOrder)
    try reader.skip(Self.magic.count, "the magic number")
    let size = try reader.integer(UInt64.self, "the header's size")
    if size == UInt64(Self.pipeHeaderSize) {
      records = Self.pipeHeaderSize..<memory.byteCount
      readLeadingRecords()
    } else {
      guard size == UInt64(Self.headerSize) else { throw reader.error("a header of \(size) bytes is not known") }
      try readHeader(&reader)
    }
    context.buffers = [TraceBuffer(name: "", clock: context.clock, cpuCount: cpuCount)]
    addEventsWithoutFormat()
    guard !attributes.isEmpty else { throw TraceFileError("the file does not say which events it holds", at: 24) }
    if isCompressed { try decompress() }
  }

  private var cpuCount = 0

  // MARK: File mode

  private mutating func readHeader(_ reader: inout ByteReader) throws(TraceFileError) {
    let entrySize = try reader.integer(UInt64.self, "the size of an attribute")
    let attributesSection = try Section(&reader, "the attributes")
    let dataSection = try Section(&reader, "the records")
    _ = try Section(&reader, "the event types")
    let features = try reader.words(4, "the features")
    let memory = memory
    do throws(TraceFileError) {
      try readAttributes(attributesSection, entrySize: entrySize)
    } catch {
      context.problems.append(error)
    }

    guard let start = Int(exactly: dataSection.offset), start <= memory.byteCount else {
      throw TraceFileError("the records should begin at \(dataSection.offset), past the file's end")
    }
    let available = memory.byteCount - start
    var end = memory.byteCount
    if dataSection.size == 0 {
      context.problems.append(
        TraceFileError("perf record was ended before it could finish the file: event formats are missing", at: 48))
    } else if dataSection.size > UInt64(available) {
      context.problems.append(
        TraceFileError(
          "the file is cut off: \(dataSection.size - UInt64(available)) bytes of records and all event formats are missing",
          at: memory.byteCount))
    } else {
      end = start + Int(dataSection.size)
    }
    records = start..<end
    guard dataSection.size != 0, end < memory.byteCount || features.contains(where: { $0 != 0 }),
      dataSection.size <= UInt64(available)
    else { return }
    do throws(TraceFileError) {
      var table = ByteReader(memory.bytes, byteOrder: reader.byteOrder, at: end)
      for bit in 0..<256 where features[bit / 64] >> UInt64(bit % 64) & 1 != 0 {
        let section = try Section(&table, "the place of feature \(bit)")
        do throws(TraceFileError) {
          let body = try section.body(of: memory.bytes, "feature \(bit)")
          try readFeature(bit, body, at: Int(truncatingIfNeeded: section.offset))
        } catch {
          context.problems.append(error)
        }
      }
    } catch {
      context.problems.append(error)
    }
  }

  private struct Section {
    var offset: UInt64
    var size: UInt64

    @_lifetime(reader: copy reader)
    init(_ reader: inout ByteReader, _ what: String) throws(TraceFileError) {
      offset = try reader.integer(UInt64.self, "the offset of \(what)")
      size = try reader.integer(UInt64.self, "the size of \(what)")
    }

    @_lifetime(copy bytes)
    func body(of bytes: RawSpan, _ what: String) throws(TraceFileError) -> RawSpan {
      guard let start = Int(exactly: offset), let count = Int(exactly: size),
        let body = bytes.slice(offset: start, count: count)
      else { throw TraceFileError("\(what) should lie at \(offset), past the file's end: the file is cut off") }
      return body
    }
  }

  private mutating func readAttributes(_ section: Section, entrySize: UInt64) throws(TraceFileError) {
    let memory = memory
    let body = try section.body(of: memory.bytes, "the attributes")
    guard let entrySize = Int(exactly: entrySize), entrySize >= 64, entrySize <= 1 << 16 else {
      throw TraceFileError("an attribute of \(entrySize) bytes is not possible", at: 16)
    }
    for start in stride(from: 0, through: body.byteCount - entrySize, by: entrySize) {
      let base = Int(truncatingIfNeeded: section.offset)
      var entry = ByteReader(
        body.extracting(start..<(start + entrySize)), byteOrder: byteOrder, base: base &+ start)
      var attribute = try PerfAttribute(&entry)
      // The place of the ids ends the entry, whatever the attribute's size.
      var end = ByteReader(entry.bytes, byteOrder: byteOrder, at: entrySize - 16, base: base &+ start)
      let ids = try Section(&end, "an attribute's ids")
      let words = try ids.body(of: memory.bytes, "the ids of an attribute")
      var reader = ByteReader(words, byteOrder: byteOrder, base: Int(truncatingIfNeeded: ids.offset))
      attribute.ids = try reader.words(words.byteCount / 8, "the ids of an attribute")
      attributes.append(attribute)
    }
  }

  // MARK: Pipe mode

  /// Reads the records that describe the others, which a pipe has first.
  private mutating func readLeadingRecords() {
    let memory = memory
    let bytes = memory.bytes
    var offset = records.lowerBound
    while let record = try? PerfRecord(bytes, at: offset, limit: records.upperBound, byteOrder) {
      let body = bytes.extracting((record.range.lowerBound + PerfRecord.headSize)..<record.range.upperBound)
      var reader = ByteReader(body, byteOrder: byteOrder, base: record.range.lowerBound + PerfRecord.headSize)
      do throws(TraceFileError) {
        switch record.type {
        case .headerAttribute:
          var attribute = try PerfAttribute(&reader)
          attribute.ids = try reader.words(reader.remaining / 8, "the ids of an attribute")
          attributes.append(attribute)
        case .headerFeature:
          let feature = try reader.integer(UInt64.self, "a feature's number")
          let rest = try reader.block(reader.remaining, "a feature")
          try readFeature(Int(min(feature, 256)), rest, at: reader.fileOffset)
        case .tracingData:
          let blob = bytes.extracting(record.range.upperBound..<record.end)
          try readTracingData(blob, at: record.range.upperBound)
        case .compressed, .compressed2:
          isCompressed = true
          return
        case .sample:
          return
        default:
          break
        }
      } catch {
        context.problems.append(error)
      }
      offset = record.end
    }
  }

  // MARK: Features

  /// Reads a feature that says something useful (util/header.c).
  private mutating func readFeature(_ feature: Int, _ body: RawSpan, at offset: Int) throws(TraceFileError) {
    var reader = ByteReader(body, byteOrder: byteOrder, base: offset)
    switch feature {
    case 1: try readTracingData(body, at: offset)
    case 3: context.host.hostname = try reader.paddedString("the host's name")
    case 4: context.host.release = try reader.paddedString("the kernel's release")
    case 5: context.host.recorder = "perf " + (try reader.paddedString("perf's version"))
    case 6: context.host.architecture = try reader.paddedString("the architecture")
    case 7:
      _ = try reader.integer(UInt32.self, "the number of CPUs")
      cpuCount = Int(try reader.integer(UInt32.self, "the number of CPUs"))
    case 8: context.host.processor = try reader.paddedString("the processor's name")
    case 9: context.host.cpuid = try reader.paddedString("the processor's CPUID")
    case 11:
      let count = try reader.integer(UInt32.self, "the number of words of the command")
      for _ in 0..<count { context.host.commandLine.append(try reader.paddedString("the command")) }
    case 12: try readEventDescriptions(&reader)
    case 27: isCompressed = true
    case 29:
      try reader.skip(4, "the version of the clock's data")
      // include/uapi/linux/time.h.
      let clocks = [0: "realtime", 1: "mono", 4: "mono_raw", 7: "boot", 11: "tai"]
      context.clock = clocks[Int(try reader.integer(UInt32.self, "the clock"))]
    default: break
    }
  }

  private struct EventDescription {
    var attribute: PerfAttribute
    var name: String
  }

  private mutating func readEventDescriptions(_ reader: inout ByteReader) throws(TraceFileError) {
    let count = try reader.integer(UInt32.self, "the number of event descriptions")
    let size = try reader.integer(UInt32.self, "the size of an event description")
    for _ in 0..<count {
      let place = reader.fileOffset
      var body = ByteReader(try reader.block(size, "an event description"), byteOrder: byteOrder, base: place)
      var attribute = try PerfAttribute(&body)
      let ids = try reader.integer(UInt32.self, "the number of an event's ids")
      let name = try reader.paddedString("an event's name")
      attribute.ids = try reader.words(ids, "an event's ids")
      descriptions.append(EventDescription(attribute: attribute, name: name))
    }
  }

  /// The blob in which perf keeps the event formats, laid out as in a trace.dat of version 6
  /// (util/trace-event-read.c: trace_report).
  private mutating func readTracingData(_ body: RawSpan, at offset: Int) throws(TraceFileError) {
    var head = ByteReader(body, byteOrder: byteOrder, base: offset)
    guard body.hasPrefix(TraceDatFile.magic) else { throw head.error("the tracing data has no magic number") }
    try head.skip(TraceDatFile.magic.count, "the magic number")
    let version = try head.cString("the tracing data's version")
    let order: ByteOrder = try head.integer(UInt8.self, "the byte order") == 0 ? .littleEndian : .bigEndian
    let longSize = Int(try head.integer(UInt8.self, "the size of long"))
    guard longSize == 4 || longSize == 8 else { throw head.error("a long of \(longSize) bytes is none") }
    context.machine = RecordingMachine(byteOrder: order, longSize: longSize)
    context.events = RecordedEvents(machine: context.machine)
    var reader = ByteReader(body, byteOrder: order, at: head.offset, base: offset)
    try reader.skip(4, "the page size")
    for name in ["header_page", "header_event"] {
      let found = try reader.cString("\(name)'s name")
      guard found == name else { throw reader.error("\(name) should come here") }
      let text = try reader.block(try reader.integer(UInt64.self, "the size of \(name)"), name).copied
      if name == "header_page" { context.headerPage = text } else { context.headerEvent = text }
    }
    let ftraceCount = try reader.integer(UInt32.self, "the number of ftrace events")
    for _ in 0..<ftraceCount { try readFormat(&reader, system: "ftrace") }
    let systems = try reader.integer(UInt32.self, "the number of event systems")
    for _ in 0..<systems {
      let system = try reader.cString("an event system's name")
      let count = try reader.integer(UInt32.self, "the number of events of \(system)")
      for _ in 0..<count { try readFormat(&reader, system: system) }
    }
    let symbols = try reader.block(try reader.integer(UInt32.self, "the size of kallsyms"), "kallsyms")
    if symbols.byteCount > 0 {
      let text = symbols.copied
      context.symbols = KernelSymbols { text }
    }
    let printk = try reader.integer(UInt32.self, "the size of the printk formats")
    context.printkFormats = try reader.block(printk, "the printk formats").copied
    // What follows from version 0.6 on, the saved command lines, perf's own COMM records say better.
    _ = version
  }

  private mutating func readFormat(_ reader: inout ByteReader, system: String) throws(TraceFileError) {
    let size = try reader.integer(UInt64.self, "the size of an event's format")
    context.events.append(system: system, formatText: try reader.block(size, "an event's format").copied)
  }

  /// Adds the events that are no tracepoints, or whose formats are missing.
  private mutating func addEventsWithoutFormat() {
    for index in attributes.indices {
      let attribute = attributes[index]
      let name = descriptions.first { $0.attribute.ids == attribute.ids }?.name
      if attribute.isTracepoint {
        guard let id = UInt16(exactly: attribute.config), context.events.index(ofType: id) < 0, let name else {
          continue
        }
        let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
        context.events.append(
          RecordedEvent(system: parts.count > 1 ? parts[0] : "", name: parts.last ?? name, id: id, formatText: []))
      } else {
        eventOfAttribute[index] = Int32(truncatingIfNeeded: context.events.count)
        context.events.append(
          RecordedEvent(
            system: "", name: name ?? "event \(attribute.type):\(attribute.config)", id: nil, formatText: []))
      }
    }
  }

  /// For an attribute that is no tracepoint its event.
  private(set) var eventOfAttribute: [Int: Int32] = [:]

  // MARK: Compressed records

  private mutating func decompress() throws(TraceFileError) {
    let plain = try CompressedRecords.decompress(memory, records, byteOrder)
    do { memory = try MappedMemory.mapping(plain.file) } catch { throw TraceFileError("cannot map: \(error)") }
    records = 0..<memory.byteCount
    damage = plain.damage
  }
}

extension ByteReader {
  /// A string of perf's features: u32 size, and that many bytes, the last of them NULs.
  @_lifetime(self: copy self)
  fileprivate mutating func paddedString(_ what: String) throws(TraceFileError) -> String {
    try block(try integer(UInt32.self, "the size of \(what)"), what).cString
  }
}
