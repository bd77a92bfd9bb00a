import CZlib
import FileBuilding
import Files
import Traces

/// Builds a ring-buffer page entry by entry.
struct PageBuilder {
  var data: ByteBuilder
  var time: UInt64
  /// Set in `commit` beside the number of bytes.
  var flags: UInt64 = 0
  let machine: RecordingMachine

  init(_ machine: RecordingMachine, time: UInt64) {
    self.machine = machine
    self.time = time
    data = ByteBuilder(machine.byteOrder)
  }

  mutating func header(_ typeLength: UInt32, _ delta: UInt32) {
    data.integer(machine.byteOrder == .littleEndian ? typeLength | delta << 5 : typeLength << 27 | delta)
  }

  /// An event of at most 112 bytes.
  mutating func event(delta: UInt32, _ record: [UInt8]) {
    header(UInt32((record.count + 3) / 4), delta)
    data.bytes += record
    data.pad(to: 4)
  }

  /// An event in the form for any length.
  mutating func longEvent(delta: UInt32, _ record: [UInt8]) {
    header(0, delta)
    data.integer(UInt32((record.count + 3) / 4 * 4 + 4))
    data.bytes += record
    data.pad(to: 4)
  }

  mutating func extendTime(by nanoseconds: UInt64) {
    header(30, UInt32(nanoseconds & (1 << 27 - 1)))
    data.integer(UInt32(nanoseconds >> 27))
  }

  mutating func absoluteTime(_ stamp: UInt64) {
    header(31, UInt32(stamp & (1 << 27 - 1)))
    data.integer(UInt32(stamp >> 27 & (1 << 32 - 1)))
  }

  mutating func discarded(delta: UInt32, count: Int) {
    header(29, delta)
    data.integer(UInt32(count + 4))
    data.bytes += [UInt8](repeating: 0xee, count: count)
  }

  func page(size: Int, stored lost: UInt64? = nil) -> [UInt8] {
    var page = ByteBuilder(machine.byteOrder)
    page.integer(time)
    let commit = UInt64(data.bytes.count) | flags
    if machine.longSize == 8 { page.integer(commit) } else { page.integer(UInt32(truncatingIfNeeded: commit)) }
    page.bytes += data.bytes
    if let lost {
      if machine.longSize == 8 { page.integer(lost) } else { page.integer(UInt32(truncatingIfNeeded: lost)) }
    }
    while page.bytes.count < size { page.bytes.append(0) }
    return page.bytes
  }
}

/// Builds a trace.dat of either version around ring-buffer pages.
struct TraceDatBuilder {
  enum Compression: String, CaseIterable {
    case none
    case zlib
  }

  var machine = RecordingMachine.amd64
  var version = 6
  var pageSize = 4096
  var compression = Compression.none
  var options: [(id: UInt16, data: [UInt8])] = []
  /// For each CPU its pages, one after the other.
  var cpus: [[UInt8]] = []
  /// An instance with its own CPUs.
  var instance: (name: String, cpus: [[UInt8]])?
  /// The offsets at which something begins.
  private(set) var boundaries: [Int] = []

  private var headerPage: [UInt8] {
    let long = machine.longSize
    return Array(
      """
      \tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
      \tfield: local_t commit;\toffset:8;\tsize:\(long);\tsigned:1;
      \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
      \tfield: char data;\toffset:\(8 + long);\tsize:\(pageSize - 8 - long);\tsigned:0;

      """.utf8)
  }

  private func start() -> ByteBuilder {
    var file = ByteBuilder(machine.byteOrder)
    file.bytes = [0x17, 0x08, 0x44]
    file.text("tracing")
    file.string("\(version)")
    file.bytes += [machine.byteOrder == .littleEndian ? 0 : 1, UInt8(machine.longSize)]
    file.integer(UInt32(4096))
    return file
  }

  private func parts() -> [(id: UInt16, body: [UInt8])] {
    func make(_ fill: (inout ByteBuilder) -> Void) -> [UInt8] {
      var body = ByteBuilder(machine.byteOrder)
      fill(&body)
      return body.bytes
    }
    return [
      (
        16,
        make {
          $0.string("header_page")
          $0.integer(UInt64(headerPage.count))
          $0.bytes += headerPage
          $0.string("header_event")
          $0.integer(UInt64(0))
        }
      ),
      (17, make { $0.integer(UInt32(0)) }),
      (
        18,
        make {
          $0.integer(UInt32(1))
          $0.string("test")
          $0.integer(UInt32(2))
          for (name, id) in [("first", 300), ("second", 301)] {
            let text = formatText(name, id: id)
            $0.integer(UInt64(text.count))
            $0.bytes += text
          }
        }
      ),
      (
        19,
        make {
          let text = Array("ffffffff81000000 T start\nffffffff81000100 t middle\t[kvm]\n".utf8)
          $0.integer(UInt32(text.count))
          $0.bytes += text
        }
      ),
      (
        20,
        make {
          let text = Array("0xffffffff82000000 : \"hello\"\n".utf8)
          $0.integer(UInt32(text.count))
          $0.bytes += text
        }
      ),
      (
        21,
        make {
          let text = Array("42 a name-with: everything\n43 other\n".utf8)
          $0.integer(UInt64(text.count))
          $0.bytes += text
        }
      ),
    ]
  }

  mutating func build() -> [UInt8] {
    boundaries = []
    return version == 7 ? buildVersion7() : buildVersion6()
  }

  private func option(_ id: UInt16, _ data: [UInt8]) -> [UInt8] {
    var option = ByteBuilder(machine.byteOrder)
    option.integer(id)
    option.integer(UInt32(data.count))
    return option.bytes + data
  }

  // MARK: Version 6

  private mutating func buildVersion6() -> [UInt8] {
    var file = start()
    boundaries.append(file.bytes.count)
    for part in parts() {
      file.bytes += part.body
      boundaries.append(file.bytes.count)
    }
    file.integer(UInt32(cpus.count))
    boundaries.append(file.bytes.count)
    file.text("options  \0")
    for (id, data) in options { file.bytes += option(id, data) }
    var instancePlace: Int?
    if let instance {
      instancePlace = file.bytes.count + 6
      file.bytes += option(3, [UInt8](repeating: 0, count: 8) + Array(instance.name.utf8) + [0])
    }
    file.integer(UInt16(0))
    boundaries.append(file.bytes.count)
    table(cpus, &file)
    if let instance, let instancePlace {
      var place = ByteBuilder(machine.byteOrder)
      place.integer(UInt64(file.bytes.count))
      file.bytes.replaceSubrange(instancePlace..<(instancePlace + 8), with: place.bytes)
      file.text("options  \0")
      file.integer(UInt16(0))
      table(instance.cpus, &file)
    }
    return file.bytes
  }

  private mutating func table(_ cpus: [[UInt8]], _ file: inout ByteBuilder) {
    file.text("flyrecord\0")
    let tableStart = file.bytes.count
    file.bytes += [UInt8](repeating: 0, count: 16 * cpus.count)
    var rows = ByteBuilder(machine.byteOrder)
    for pages in cpus {
      file.pad(to: 4096)
      boundaries.append(file.bytes.count)
      rows.integer(UInt64(file.bytes.count))
      rows.integer(UInt64(pages.count))
      file.bytes += pages
    }
    file.bytes.replaceSubrange(tableStart..<(tableStart + rows.bytes.count), with: rows.bytes)
  }

  // MARK: Version 7

  private func chunk(_ plain: [UInt8]) -> [UInt8] {
    var size = compressBound(UInt(plain.count))
    var compressed = [UInt8](repeating: 0, count: Int(size))
    precondition(unsafe compress(&compressed, &size, plain, UInt(plain.count)) == Z_OK)
    var chunk = ByteBuilder(machine.byteOrder)
    chunk.integer(UInt32(size))
    chunk.integer(UInt32(plain.count))
    return chunk.bytes + compressed.prefix(Int(size))
  }

  private func section(_ id: UInt16, _ body: [UInt8], isCompressed: Bool) -> [UInt8] {
    let stored = isCompressed ? chunk(body) : body
    var section = ByteBuilder(machine.byteOrder)
    section.integer(id)
    section.integer(UInt16(isCompressed ? 1 : 0))
    section.integer(UInt32(0))
    section.integer(UInt64(stored.count))
    return section.bytes + stored
  }

  private mutating func buildVersion7() -> [UInt8] {
    let isCompressed = compression != .none
    var file = start()
    file.string(compression.rawValue)
    file.string("1")
    let optionsField = file.bytes.count
    file.integer(UInt64(0))
    boundaries.append(file.bytes.count)
    var optionBytes: [UInt8] = []
    for part in parts() {
      var place = ByteBuilder(machine.byteOrder)
      place.integer(UInt64(file.bytes.count))
      optionBytes += option(part.id, place.bytes)
      file.bytes += section(part.id, part.body, isCompressed: isCompressed)
      boundaries.append(file.bytes.count)
    }
    for (id, data) in options { optionBytes += option(id, data) }
    for (name, cpus) in [("", cpus)] + (instance.map { [($0.name, $0.cpus)] } ?? []) {
      let sectionPlace = file.bytes.count
      file.bytes += section(3, [], isCompressed: false)
      if isCompressed { file.bytes[sectionPlace + (machine.byteOrder == .littleEndian ? 2 : 3)] = 1 }
      var buffer = ByteBuilder(machine.byteOrder)
      buffer.integer(UInt64(sectionPlace))
      buffer.string(name)
      buffer.string("local")
      buffer.integer(UInt32(pageSize))
      buffer.integer(UInt32(cpus.count))
      for (cpu, pages) in cpus.enumerated() {
        file.pad(to: 4096)
        boundaries.append(file.bytes.count)
        var data = ByteBuilder(machine.byteOrder)
        if isCompressed {
          // One page a chunk.
          let chunks = stride(from: 0, to: pages.count, by: pageSize).map {
            chunk(Array(pages[$0..<min($0 + pageSize, pages.count)]))
          }
          data.integer(UInt32(chunks.count))
          for chunk in chunks { data.bytes += chunk }
        } else {
          data.bytes = pages
        }
        buffer.integer(UInt32(cpu))
        buffer.integer(UInt64(file.bytes.count))
        buffer.integer(UInt64(data.bytes.count - (isCompressed ? 4 : 0)))
        file.bytes += data.bytes
      }
      optionBytes += option(3, buffer.bytes)
    }
    boundaries.append(file.bytes.count)
    var place = ByteBuilder(machine.byteOrder)
    place.integer(UInt64(file.bytes.count))
    file.bytes.replaceSubrange(optionsField..<(optionsField + 8), with: place.bytes)
    optionBytes += option(0, [UInt8](repeating: 0, count: 8))
    file.bytes += section(0, optionBytes, isCompressed: false)
    return file.bytes
  }
}
