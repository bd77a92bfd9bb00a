import FileBuilding
import Files
import Testing

@testable import Traces

/// A file of every kind that the format allows.
struct TraceDatVariant: CustomTestStringConvertible, Sendable {
  var version: Int
  var machine: RecordingMachine
  var pageSize: Int
  var compression = TraceDatBuilder.Compression.none

  var testDescription: String {
    "v\(version) \(machine.byteOrder) \(8 * machine.longSize) bit, pages of \(pageSize), \(compression)"
  }

  static let all: [TraceDatVariant] = [ByteOrder.littleEndian, .bigEndian].flatMap { byteOrder in
    [4, 8].flatMap { longSize in
      [4096, 65536].flatMap { pageSize in
        let machine = RecordingMachine(byteOrder: byteOrder, longSize: longSize)
        return [
          TraceDatVariant(version: 6, machine: machine, pageSize: pageSize),
          TraceDatVariant(version: 7, machine: machine, pageSize: pageSize),
          TraceDatVariant(version: 7, machine: machine, pageSize: pageSize, compression: .zlib),
        ]
      }
    }
  }

  func builder() -> TraceDatBuilder {
    TraceDatBuilder(machine: machine, version: version, pageSize: pageSize, compression: compression)
  }

  /// A page with events at these times.
  func page(_ times: [UInt64], flags: UInt64 = 0, lost: UInt64? = nil) -> [UInt8] {
    var page = PageBuilder(machine, time: times[0])
    page.flags = flags
    var last = times[0]
    for time in times {
      page.event(delta: UInt32(time - last), record(value: time, machine.byteOrder))
      last = time
    }
    return page.page(size: pageSize, stored: lost)
  }
}

@Suite struct TraceDatTests {
  @Test(arguments: TraceDatVariant.all) func mergesCPUsAndBuffersByTime(_ variant: TraceDatVariant) throws {
    var builder = variant.builder()
    builder.cpus = [
      variant.page([100, 110, 150]) + variant.page([200, 210]), variant.page([105, 150, 205]),
    ]
    builder.instance = ("guest", [variant.page([107, 150])])
    let file = try TraceFile(bytes: builder.build())
    #expect(file.context.problems == [])
    #expect(file.context.buffers.map(\.name) == ["", "guest"])
    #expect(file.context.events.map(\.name) == ["first", "second"])
    #expect(file.context.symbols.symbol(at: 0xffff_ffff_8100_0104)?.name == "middle")
    #expect(file.times() == [100, 105, 107, 110, 150, 150, 150, 200, 205, 210])
    #expect(file.times(file.cursor(cpus: [1])) == [105, 150, 205])
    let first = KeptItem.event(
      time: 100, cpu: 0, threadID: 42, name: "first", task: "a name-with: everything",
      payload: record(value: 100, variant.machine.byteOrder))
    #expect(file.kept().first == first)
  }

  @Test(arguments: TraceDatVariant.all) func tellsOfLostEventsInPlace(_ variant: TraceDatVariant) throws {
    var builder = variant.builder()
    // The kernel's flag is a signed int: on 64 bits the bits above may all be set.
    let sign: UInt64 = variant.machine.longSize == 8 ? 0xffff_ffff_0000_0000 : 0
    builder.cpus = [
      variant.page([10]) + variant.page([20], flags: sign | 1 << 31)
        + variant.page([30], flags: 1 << 31 | 1 << 30, lost: 77) + variant.page([40])
    ]
    let items = try TraceFile(bytes: builder.build()).kept()
    let marks = items.map { item -> String in
      switch item {
      case .event(let time, _, _, _, _, _): "\(time)"
      case .lost(let count, let cpu): "lost \(count.map(String.init) ?? "?") cpu \(cpu ?? -1)"
      case .damage(let problem): "\(problem)"
      }
    }
    #expect(marks == ["10", "lost ? cpu 0", "20", "lost 77 cpu 0", "30", "40"])
  }

  @Test(arguments: TraceDatVariant.all) func readsEveryKindOfEntry(_ variant: TraceDatVariant) throws {
    let order = variant.machine.byteOrder
    // The top bits of an absolute stamp are those of the time before it.
    let base: UInt64 = 0xf800_0000_0000_0000 | 1000
    var page = PageBuilder(variant.machine, time: base)
    page.event(delta: 0, record(value: 1, order))
    page.longEvent(delta: 5, record(301, value: 2, order) + [UInt8](repeating: 7, count: 200))
    page.extendTime(by: 1 << 30)
    page.event(delta: 1, record(value: 3, order))
    page.discarded(delta: 4, count: 12)
    page.event(delta: 2, record(value: 4, order))
    page.absoluteTime(base + (1 << 40))
    page.event(delta: 0, record(value: 5, order))
    // Beyond 59 bits the stamp wraps.
    page.absoluteTime(3)
    page.event(delta: 0, record(value: 6, order))
    page.header(29, 0)
    var builder = variant.builder()
    builder.cpus = [page.page(size: variant.pageSize)]
    let times = try TraceFile(bytes: builder.build()).times()
    let extended = base + 5 + (1 << 30) + 1
    let stamped: UInt64 = base + (1 << 40)
    // Wrapped past the top of 64 bits here.
    let wrapped: UInt64 = 3
    #expect(times == [base, base + 5, extended, extended + 6, stamped, wrapped])
  }

  @Test(arguments: TraceDatVariant.all) func startsNearTheEnd(_ variant: TraceDatVariant) throws {
    var builder = variant.builder()
    let even = (0..<40).map { UInt64(1000 + 2 * $0) }
    builder.cpus = [
      stride(from: 0, to: 40, by: 4).flatMap { variant.page(Array(even[$0..<($0 + 4)])) },
      variant.page([1, 2, 3]), variant.page([1061, 1077]),
    ]
    let file = try TraceFile(bytes: builder.build())
    let all = file.times()
    #expect(all.count == 45)
    for count in [0, 1, 5, 17, 44, 45, 100] {
      var cursor = file.cursor()
      cursor.startAtLast(count)
      #expect(file.times(cursor) == all.suffix(count), "the last \(count)")
    }
    for time in [0, 1000, 1033, 1078, 5000] as [UInt64] {
      var cursor = file.cursor()
      cursor.start(at: time)
      #expect(file.times(cursor).filter { $0 >= time } == all.filter { $0 >= time }, "from \(time)")
    }
  }

  @Test func goesOnWhereItStopped() throws {
    let variant = TraceDatVariant.all[0]
    var builder = variant.builder()
    builder.cpus = [variant.page([1, 4, 5]) + variant.page([9]), variant.page([2, 3, 8])]
    let file = try TraceFile(bytes: builder.build())
    var cursor = file.cursor()
    var times: [UInt64] = []
    for _ in 0..<10 {
      cursor.forEach { item in
        if case .event(let event) = item { times.append(event.time) }
        return .stop
      }
    }
    #expect(times == [1, 2, 3, 4, 5, 8, 9])
  }

  /// trace-cmd 3.4, trace-input.c: timestamp_calc.
  @Test(
    arguments: [
      ("offset", [(7, Array("-1000\0".utf8))], 999_000),
      ("offset in hexadecimal", [(7, Array("0x10\0".utf8))], 1_000_016),
      ("date", [(1, Array("0x5\0".utf8))], 1_005_000),
      ("TSC", [(14, [2, 0, 0, 0, 1, 0, 0, 0] + [UInt8](repeating: 0, count: 8))], 1_000_000),
      ("TSC tripled", [(14, [3, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8))], 3_000_000),
    ] as [(String, [(UInt16, [UInt8])], UInt64)])
  func adjustsTimes(_ name: String, _ options: [(UInt16, [UInt8])], _ expected: UInt64) throws {
    let variant = TraceDatVariant(version: 6, machine: .amd64, pageSize: 4096)
    var builder = variant.builder()
    builder.options = options.map { (id: $0.0, data: $0.1) }
    builder.cpus = [variant.page([1_000_000])]
    #expect(try TraceFile(bytes: builder.build()).times() == [expected])
  }

  @Test(arguments: [false, true]) func shiftsAGuestsTimes(interpolated: Bool) throws {
    let variant = TraceDatVariant(version: 6, machine: .amd64, pageSize: 4096)
    var shift = ByteBuilder()
    shift.integer(UInt64(1))
    shift.integer(UInt32(interpolated ? 1 : 0))
    shift.integer(UInt32(1))
    shift.integer(UInt32(2))
    for word in [100, 200, 1000, 2000, 1, 1, 0, 0] as [UInt64] { shift.integer(word) }
    var builder = variant.builder()
    builder.options = [(12, shift.bytes)]
    builder.cpus = [variant.page([100, 150])]
    #expect(try TraceFile(bytes: builder.build()).times() == [1100, interpolated ? 1650 : 1150])
  }
}
