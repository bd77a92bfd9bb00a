public import Files
public import SystemPackage

/// Writes a trace.dat of version 7, which trace-cmd 3.1 and KernelShark 2.2 open.
///
/// The metadata comes first, then for each buffer the pages of each CPU, one CPU after the other; `finish` writes what
/// says where everything is. A file that was not finished cannot be read.
public struct TraceDatWriter: ~Copyable {
  public enum Compression: Sendable {
    case none
    case zstd
  }

  private let file: OutputFile
  private let byteOrder: ByteOrder
  private let encoder: ZstdEncoder?
  /// What is not written yet, and the file offset at which it begins.
  private var pending: [UInt8] = []
  private var written = 0
  /// The options that go into the second options section: the buffers.
  private var buffers: [Buffer] = []
  private var chunk: [UInt8] = []
  private var chunkCount: UInt32 = 0
  private let pageSize: Int
  /// Where the first options section says where the next is.
  private let firstDoneField: Int

  private struct Buffer {
    var offset: Int
    var name: String
    var clock: String
    var pageSize: Int
    var cpus: [(cpu: Int, start: Int, size: Int)] = []
  }

  /// Creates the file, or empties it, and writes the metadata.
  public init(_ path: FilePath, _ metadata: TraceDatMetadata, compression: Compression) throws(TraceFileError) {
    let file = try OutputFile(path)
    let byteOrder = metadata.machine.byteOrder
    let encoder = compression == .zstd ? try ZstdEncoder() : nil

    var head = TraceDatBytes(byteOrder)
    head.bytes += TraceDatFile.magic
    head.string("7")
    head.bytes += [byteOrder == .littleEndian ? 0 : 1, UInt8(metadata.machine.longSize)]
    head.integer(UInt32(metadata.pageSize))
    head.string(compression == .zstd ? "zstd" : "none")
    head.string(compression == .zstd ? ZstdEncoder.version : "")
    let optionsField = head.bytes.count
    head.integer(UInt64(0))

    var places: [(id: UInt16, offset: Int)] = []
    for (id, body) in Self.sections(metadata, byteOrder) {
      places.append((id, head.bytes.count))
      head.bytes += try Self.section(id, body, byteOrder, encoder)
    }
    var optionsOffset = TraceDatBytes(byteOrder)
    optionsOffset.integer(UInt64(head.bytes.count))
    head.bytes += try Self.section(0, Self.options(metadata, places, byteOrder), byteOrder, nil)
    // Where the options are is known only now.
    head.bytes.replaceSubrange(optionsField..<(optionsField + 8), with: optionsOffset.bytes)

    self.file = file
    self.byteOrder = byteOrder
    self.encoder = encoder
    pageSize = metadata.pageSize
    firstDoneField = head.bytes.count - 8
    pending = head.bytes
  }

  // MARK: Events

  /// Begins a buffer: the top one if the name is empty, else an instance.
  public mutating func beginBuffer(name: String = "", clock: String = "local", pageSize: Int) throws(TraceFileError) {
    try finishCPU()
    buffers.append(Buffer(offset: offset, name: name, clock: clock, pageSize: pageSize))
    var head = TraceDatBytes(byteOrder)
    head.sectionHead(3, isCompressed: encoder != nil, size: 0)
    pending += head.bytes
  }

  /// Begins the pages of a CPU. Each CPU comes once in a buffer.
  public mutating func beginCPU(_ cpu: Int) throws(TraceFileError) {
    try finishCPU()
    guard !buffers.isEmpty else { throw TraceFileError("a CPU's pages need a buffer to be in") }
    // Raw pages can then be mapped one by one.
    pending += [UInt8](repeating: 0, count: (pageSize - offset % pageSize) % pageSize)
    buffers[buffers.count - 1].cpus.append((cpu, offset, -1))
    chunkCount = 0
    if encoder != nil { pending += [0, 0, 0, 0] }
    try flush()
  }

  /// Adds whole pages of the buffer's size, with what they hold.
  public mutating func append(_ pages: [UInt8]) throws(TraceFileError) {
    guard encoder != nil else {
      pending += pages
      if pending.count >= 1 << 20 { try flush() }
      return
    }
    chunk += pages
    // As trace-cmd does: 10 pages a chunk (trace-output.c).
    if chunk.count >= 10 * (buffers.last?.pageSize ?? pageSize) { try finishChunk() }
  }

  private mutating func finishChunk() throws(TraceFileError) {
    guard let encoder, !chunk.isEmpty else { return }
    pending += try TraceDatBytes.chunk(chunk, byteOrder, encoder)
    chunk.removeAll(keepingCapacity: true)
    chunkCount += 1
    if pending.count >= 1 << 20 { try flush() }
  }

  private mutating func finishCPU() throws(TraceFileError) {
    guard let last = buffers.indices.last, let cpu = buffers[last].cpus.indices.last, buffers[last].cpus[cpu].size < 0
    else { return }
    try finishChunk()
    let start = buffers[last].cpus[cpu].start
    guard encoder != nil else {
      buffers[last].cpus[cpu].size = offset - start
      return
    }
    // The size leaves out the number of chunks.
    buffers[last].cpus[cpu].size = offset - start - 4
    var count = TraceDatBytes(byteOrder)
    count.integer(chunkCount)
    try patch(count.bytes, at: start)
  }

  /// Writes where everything is. Without this the file cannot be read.
  public consuming func finish() throws(TraceFileError) {
    try finishCPU()
    let end = offset
    for buffer in buffers {
      var size = TraceDatBytes(byteOrder)
      let next = buffers.lazy.map(\.offset).first { $0 > buffer.offset } ?? end
      size.integer(UInt64(next - buffer.offset - TraceDatBytes.sectionHeadSize))
      try patch(size.bytes, at: buffer.offset + 8)
    }
    var place = TraceDatBytes(byteOrder)
    place.integer(UInt64(end))
    try patch(place.bytes, at: firstDoneField)
    pending += try Self.section(0, bufferOptions(), byteOrder, nil)
    try flush()
  }

  private func bufferOptions() -> [UInt8] {
    var options = TraceDatBytes(byteOrder)
    for buffer in buffers {
      var option = TraceDatBytes(byteOrder)
      option.integer(UInt64(buffer.offset))
      option.string(buffer.name)
      option.string(buffer.clock)
      option.integer(UInt32(buffer.pageSize))
      let cpus = buffer.cpus.filter { $0.size > 0 }
      option.integer(UInt32(cpus.count))
      for cpu in cpus {
        option.integer(UInt32(cpu.cpu))
        option.integer(UInt64(cpu.start))
        option.integer(UInt64(cpu.size))
      }
      options.option(3, option.bytes)
    }
    options.done()
    return options.bytes
  }

  // MARK: Output

  /// Where the next byte goes in the file.
  private var offset: Int { written + pending.count }

  private mutating func flush() throws(TraceFileError) {
    let bytes = pending
    pending.removeAll(keepingCapacity: true)
    do { _ = try file.descriptor.writeAll(bytes) } catch { throw TraceFileError("cannot write: \(error)", at: written) }
    written += bytes.count
  }

  /// Overwrites bytes that were written before.
  private mutating func patch(_ bytes: [UInt8], at place: Int) throws(TraceFileError) {
    try flush()
    do {
      _ = try file.descriptor.writeAll(toAbsoluteOffset: Int64(place), bytes)
    } catch {
      throw TraceFileError("cannot write: \(error)", at: place)
    }
  }

  // MARK: Metadata

  private static func sections(_ metadata: TraceDatMetadata, _ byteOrder: ByteOrder) -> [(UInt16, [UInt8])] {
    func make(_ fill: (inout TraceDatBytes) -> Void) -> [UInt8] {
      var body = TraceDatBytes(byteOrder)
      fill(&body)
      return body.bytes
    }
    return [
      (
        16,
        make { body in
          for (name, text) in [("header_page", metadata.headerPage), ("header_event", metadata.headerEvent)] {
            body.string(name)
            body.integer(UInt64(text.count))
            body.bytes += text
          }
        }
      ),
      (17, make { $0.formats(metadata.ftraceFormats) }),
      (
        18,
        make { body in
          body.integer(UInt32(metadata.systems.count))
          for system in metadata.systems {
            body.string(system.name)
            body.formats(system.formats)
          }
        }
      ),
      (
        19,
        make { body in
          body.integer(UInt32(metadata.symbols.count))
          body.bytes += metadata.symbols
        }
      ),
      (
        20,
        make { body in
          body.integer(UInt32(metadata.printkFormats.count))
          body.bytes += metadata.printkFormats
        }
      ),
      (
        21,
        make { body in
          body.integer(UInt64(metadata.commandLines.count))
          body.bytes += metadata.commandLines
        }
      ),
    ]
  }

  private static func options(
    _ metadata: TraceDatMetadata, _ places: [(id: UInt16, offset: Int)], _ byteOrder: ByteOrder
  ) -> [UInt8] {
    var options = TraceDatBytes(byteOrder)
    for place in places {
      var field = TraceDatBytes(byteOrder)
      field.integer(UInt64(place.offset))
      options.option(place.id, field.bytes)
    }
    options.option(4, Array(metadata.clocks.utf8) + [0])
    if let uname = metadata.uname { options.option(5, Array(uname.utf8) + [0]) }
    options.option(9, Array("inquest".utf8) + [0])
    for statistics in metadata.bufferStatistics { options.option(2, Array(statistics.utf8) + [0]) }
    var count = TraceDatBytes(byteOrder)
    count.integer(UInt32(metadata.cpuCount))
    options.option(8, count.bytes)
    options.done()
    return options.bytes
  }

  private static func section(
    _ id: UInt16, _ body: [UInt8], _ byteOrder: ByteOrder, _ encoder: ZstdEncoder?
  ) throws(TraceFileError) -> [UInt8] {
    // A chunk that holds nothing is none.
    let encoder = body.isEmpty ? nil : encoder
    var stored = body
    if let encoder { stored = try TraceDatBytes.chunk(body, byteOrder, encoder) }
    var section = TraceDatBytes(byteOrder)
    section.sectionHead(id, isCompressed: encoder != nil, size: stored.count)
    section.bytes += stored
    return section.bytes
  }
}

/// A file that is closed when it is written.
private final class OutputFile {
  let descriptor: FileDescriptor

  init(_ path: FilePath) throws(TraceFileError) {
    do {
      descriptor = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .truncate, .closeOnExec],
        permissions: [.ownerReadWrite, .groupRead, .otherRead])
    } catch {
      throw TraceFileError("cannot create \(path): \(error)")
    }
  }

  deinit { try? descriptor.close() }
}

/// The pieces that a trace.dat is made of.
private struct TraceDatBytes {
  var bytes: [UInt8] = []
  let byteOrder: ByteOrder

  static let sectionHeadSize = 16

  init(_ byteOrder: ByteOrder) { self.byteOrder = byteOrder }

  mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
    let size = T.bitWidth / 8
    for index in 0..<size {
      let place = byteOrder == .littleEndian ? index : size - 1 - index
      bytes.append(UInt8(truncatingIfNeeded: value >> T(8 * place)))
    }
  }

  mutating func string(_ text: String) {
    bytes += Array(text.utf8)
    bytes.append(0)
  }

  mutating func sectionHead(_ id: UInt16, isCompressed: Bool, size: Int) {
    integer(id)
    integer(UInt16(isCompressed ? 1 : 0))
    integer(UInt32(0))
    integer(UInt64(size))
  }

  mutating func formats(_ formats: [[UInt8]]) {
    integer(UInt32(formats.count))
    for format in formats {
      integer(UInt64(format.count))
      bytes += format
    }
  }

  mutating func option(_ id: UInt16, _ data: [UInt8]) {
    integer(id)
    integer(UInt32(data.count))
    bytes += data
  }

  /// The last option of a section: where the next section of options is, 0 for none.
  mutating func done() { option(0, [UInt8](repeating: 0, count: 8)) }

  static func chunk(_ plain: [UInt8], _ byteOrder: ByteOrder, _ encoder: ZstdEncoder) throws(TraceFileError) -> [UInt8]
  {
    // Bytes have no padding whose contents could matter.
    let compressed = try encoder.encode(unsafe plain.span.bytes)
    var chunk = TraceDatBytes(byteOrder)
    chunk.integer(UInt32(compressed.count))
    chunk.integer(UInt32(plain.count))
    chunk.bytes += compressed
    return chunk.bytes
  }
}
