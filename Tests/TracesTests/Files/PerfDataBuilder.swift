import FileBuilding
import Files
import Traces

/// Builds a perf.data in file and in pipe form.
struct PerfDataBuilder {
  var byteOrder = ByteOrder.littleEndian
  /// PERF_SAMPLE_IDENTIFIER, IP, TID, TIME, CPU, PERIOD, RAW: what `perf record -e kvm:*` sets.
  var sampleType: UInt64 = 0x10587
  /// More attributes with other samples: the last bit set of each is 3, ADDR.
  var hasSecondAttribute = false
  private(set) var records: [UInt8] = []

  init(_ byteOrder: ByteOrder = .littleEndian) { self.byteOrder = byteOrder }

  private func make(_ fill: (inout ByteBuilder) -> Void) -> [UInt8] {
    var body = ByteBuilder(byteOrder)
    fill(&body)
    return body.bytes
  }

  /// - Parameter size: what the record says of its size; nil for the truth.
  func record(_ type: UInt32, _ body: [UInt8], misc: UInt16 = 0, size: UInt16? = nil) -> [UInt8] {
    make {
      $0.integer(type)
      $0.integer(misc)
      $0.integer(size ?? UInt16(8 + body.count))
      $0.bytes += body
    }
  }

  mutating func append(_ type: UInt32, _ body: [UInt8], misc: UInt16 = 0, size: UInt16? = nil) {
    records += record(type, body, misc: misc, size: size)
  }

  /// A sample of the first attribute, or of the second, which has an address besides.
  mutating func add(time: UInt64, cpu: UInt32, threadID: UInt32 = 42, value: UInt64, second: Bool = false) {
    let payload = TracesTests.record(second ? 301 : 300, threadID: threadID, value: value, byteOrder)
    append(
      9,
      make {
        $0.integer(UInt64(second ? 8 : 7))
        $0.integer(UInt64(0xffff_ffff_8100_0000))
        $0.integer(UInt32(40))
        $0.integer(threadID)
        $0.integer(time)
        if second { $0.integer(UInt64(0xadd)) }
        $0.integer(cpu)
        $0.integer(UInt32(0))
        $0.integer(UInt64(1))
        $0.integer(UInt32(payload.count + 4))
        $0.bytes += payload
        $0.integer(UInt32(0))
      })
  }

  /// TID, TIME, CPU, IDENTIFIER.
  private func trailer(_ time: UInt64) -> [UInt8] {
    make {
      $0.integer(UInt32(40))
      $0.integer(UInt32(42))
      $0.integer(time)
      $0.integer(UInt32(1))
      $0.integer(UInt32(0))
      $0.integer(UInt64(7))
    }
  }

  mutating func comm(threadID: UInt32, _ name: String, time: UInt64) {
    append(
      3,
      make {
        $0.integer(UInt32(40))
        $0.integer(threadID)
        $0.string(name)
        $0.pad(to: 8)
      } + trailer(time))
  }

  mutating func fork(threadID: UInt32, parent: UInt32, time: UInt64) {
    append(
      7,
      make {
        for id in [40, 40, threadID, parent] as [UInt32] { $0.integer(id) }
        $0.integer(time)
      } + trailer(time))
  }

  mutating func lost(_ count: UInt64, time: UInt64) {
    append(
      2,
      make {
        $0.integer(UInt64(7))
        $0.integer(count)
      } + trailer(time))
  }

  /// LOST_SAMPLES: perf's own have no time; it marks with the highest bit of misc what a filter left out.
  mutating func lostSamples(_ count: UInt64, time: UInt64 = 0, isFiltered: Bool = false) {
    append(13, make { $0.integer(count) } + trailer(time), misc: isFiltered ? 1 << 15 : 0)
  }

  mutating func finishRound() { append(68, []) }

  // MARK: Whole files

  private func attribute(second: Bool) -> [UInt8] {
    make {
      $0.integer(UInt32(2))
      $0.integer(UInt32(64))
      $0.integer(UInt64(second ? 301 : 300))
      $0.integer(UInt64(1))
      $0.integer(second ? sampleType | 8 : sampleType)
      $0.integer(UInt64(4))
      // sample_id_all; bit fields are the other way round on big endian.
      $0.integer(byteOrder == .littleEndian ? UInt64(1) << 18 : UInt64(1) << 45)
      $0.integer(UInt64(0))
      $0.integer(UInt64(0))
    }
  }

  private var attributes: [(body: [UInt8], id: UInt64)] {
    let first: (body: [UInt8], id: UInt64) = (attribute(second: false), 7)
    let second: (body: [UInt8], id: UInt64) = (attribute(second: true), 8)
    return hasSecondAttribute ? [first, second] : [first]
  }

  private var tracingData: [UInt8] {
    make {
      $0.bytes += [0x17, 0x08, 0x44]
      $0.text("tracing")
      $0.string("0.6")
      $0.bytes += [byteOrder == .littleEndian ? 0 : 1, 8]
      $0.integer(UInt32(4096))
      for name in ["header_page", "header_event"] {
        $0.string(name)
        $0.integer(UInt64(0))
      }
      $0.integer(UInt32(0))
      $0.integer(UInt32(1))
      $0.string("test")
      $0.integer(UInt32(2))
      for (name, id) in [("first", 300), ("second", 301)] {
        let text = formatText(name, id: id)
        $0.integer(UInt64(text.count))
        $0.bytes += text
      }
      $0.integer(UInt32(0))
      $0.integer(UInt32(0))
      $0.integer(UInt64(0))
    }
  }

  private func paddedString(_ text: String) -> [UInt8] {
    make {
      $0.integer(UInt32(16))
      $0.text(text)
      while $0.bytes.count < 20 { $0.bytes.append(0) }
    }
  }

  /// Where the parts of the file begin.
  private(set) var boundaries: [Int] = []

  mutating func file() -> [UInt8] {
    let attributes = attributes
    let idsStart = 104
    let attributesStart = idsStart + 8 * attributes.count
    let dataStart = attributesStart + 80 * attributes.count
    var file = ByteBuilder(byteOrder)
    file.text(byteOrder == .littleEndian ? "PERFILE2" : "2ELIFREP")
    for word in [104, 80, attributesStart, 80 * attributes.count, dataStart, records.count, 0, 0] {
      file.integer(UInt64(word))
    }
    // Tracing data and the kernel's release.
    for word in [0x12, 0, 0, 0] as [UInt64] { file.integer(word) }
    for attribute in attributes { file.integer(attribute.id) }
    for (index, attribute) in attributes.enumerated() {
      file.bytes += attribute.body
      file.integer(UInt64(idsStart + 8 * index))
      file.integer(UInt64(8))
    }
    boundaries = [8, 16, 24, 40, 72, 104, attributesStart, dataStart]
    file.bytes += records
    boundaries.append(file.bytes.count)
    let features = [tracingData, paddedString("6.18.0")]
    var place = file.bytes.count + 16 * features.count
    for feature in features {
      file.integer(UInt64(place))
      file.integer(UInt64(feature.count))
      place += feature.count
    }
    for feature in features {
      boundaries.append(file.bytes.count)
      file.bytes += feature
    }
    return file.bytes
  }

  func pipe() -> [UInt8] {
    var file = ByteBuilder(byteOrder)
    file.text(byteOrder == .littleEndian ? "PERFILE2" : "2ELIFREP")
    file.integer(UInt64(16))
    for attribute in attributes { file.bytes += record(64, attribute.body + make { $0.integer(attribute.id) }) }
    file.bytes += record(
      80,
      make {
        $0.integer(UInt64(4))
        $0.bytes += paddedString("6.18.0")
      })
    let tracingData = tracingData + [UInt8](repeating: 0, count: (8 - tracingData.count % 8) % 8)
    file.bytes += record(
      66,
      make {
        $0.integer(UInt32(tracingData.count))
        $0.integer(UInt32(0))
      })
    file.bytes += tracingData
    file.bytes += records
    return file.bytes
  }
}
