import KVM
import Traces
import X86

/// A trace's statistics, as they are shown.
struct StatisticsReport {
  private let statistics: TraceStatistics
  private let context: TraceContext
  private let top: Int

  init(_ statistics: TraceStatistics, _ context: TraceContext, top: Int) {
    self.statistics = statistics
    self.context = context
    self.top = top == 0 ? .max : top
  }

  /// The threads that ran a guest, in the order of vCPU numbers; without an id what threads that were not told apart did.
  private var threads: [(id: Int32?, statistics: ThreadStatistics)] {
    let vCPUs = statistics.threads.elements.filter(\.value.isVCPU)
      .map { (id: Optional($0.key), statistics: $0.value) }
      .sorted { ($0.statistics.number ?? .max, $0.id ?? 0) < ($1.statistics.number ?? .max, $1.id ?? 0) }
    let others = statistics.threads.others
    return others.isVCPU ? vCPUs + [(id: nil, statistics: others)] : vCPUs
  }

  private var eventCount: UInt64 { statistics.eventCounts.reduce(statistics.unknownEvents, &+) }

  // MARK: Text

  var text: String {
    var lines: [String] = []
    let duration = statistics.firstTime.map { statistics.lastTime - min($0, statistics.lastTime) } ?? 0
    lines.append("\(context.kind): \(eventCount) events in \(Self.duration(duration))")
    if statistics.lostEvents > 0 { lines.append("\(statistics.lostEvents) events were lost") }
    if statistics.lostMarks > 0 {
      lines.append("events were lost in \(statistics.lostMarks) places that do not say how many")
    }
    for damage in statistics.damages { lines.append("damaged: \(damage)") }
    for thread in threads { lines += textOfThread(thread.id, thread.statistics) }
    lines += textOfMemory()
    lines += textOfPorts()
    lines += textOfModelSpecific()
    lines += textOfExceptions()
    lines += textOfEvents()
    return lines.joined(separator: "\n") + "\n"
  }

  private func textOfThread(_ id: Int32?, _ thread: ThreadStatistics) -> [String] {
    let total = thread.exitCount
    let name = id.map { "\(thread.number.map { "vCPU \($0)" } ?? "vCPU ?"), thread \($0)" } ?? "Other threads"
    var lines = ["", "\(name): \(total) exits, \(thread.entries) entries"]
    if total == 0 {
      lines[1] += " (this host's KVM does not trace them, or they were not recorded)"
    } else {
      var table = Table(["reason", "exits", "share", "total", "mean", "p50", "p99", "max"])
      for (reason, exits) in Self.byCount(thread.exits) {
        let times = exits.durations
        table.rows.append(
          [reason?.name ?? "others", "\(exits.count)", Self.share(exits.count, of: total)]
            + [times.total, times.mean, times.quantile(0.5), times.quantile(0.99), times.maximum].map {
              times.count == 0 ? "-" : Self.duration($0)
            })
      }
      lines += table.lines
    }
    let userspaceExits = Self.byCount(thread.userspaceExits)
    if !userspaceExits.isEmpty {
      let reasons = userspaceExits.map { "\($0.key?.name ?? "others") \($0.value)" }
      lines.append("  to userspace: " + reasons.joined(separator: ", "))
    }
    if thread.emulations > 0 {
      lines.append("  emulated instructions: \(thread.emulations), of which failed \(thread.failedEmulations)")
    }
    if thread.walks > 0 {
      lines.append("  walks of the guest's page tables: \(thread.walks), of which failed \(thread.failedWalks)")
    }
    return lines
  }

  /// The most frequent first, and last what was not told apart.
  private static func byCount(
    _ exits: LowestKeys<ExitReason, ThreadStatistics.Exits>
  ) -> [(key: ExitReason?, value: ThreadStatistics.Exits)] {
    let sorted = exits.elements.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
    let others = exits.others
    return sorted.map { ($0.key, $0.value) } + (others.count > 0 ? [(nil, others)] : [])
  }

  private static func byCount<Key>(_ counts: LowestKeys<Key, UInt64>) -> [(key: Key?, value: UInt64)] {
    counts.byCount.map { ($0.key, $0.value) } + (counts.others > 0 ? [(nil, counts.others)] : [])
  }

  /// Device memory by pages of 4 KiB: a frame buffer has thousands of addresses.
  private func textOfMemory() -> [String] {
    let accesses = statistics.memory
    guard accesses.total > 0 else { return [] }
    struct Page {
      var reads: UInt64 = 0
      var writes: UInt64 = 0
      var low = UInt64.max
      var high: UInt64 = 0
    }
    var pages: [UInt64: Page] = [:]
    for element in accesses.elements {
      let access = element.key
      var page = pages[access.address >> 12] ?? Page()
      if access.isWrite { page.writes += element.value } else { page.reads += element.value }
      page.low = min(page.low, access.address)
      page.high = max(page.high, access.address)
      pages[access.address >> 12] = page
    }
    let sorted = pages.sorted {
      ($1.value.reads + $1.value.writes, $0.key) < ($0.value.reads + $0.value.writes, $1.key)
    }
    var table = Table(["addresses", "reads", "writes"])
    for (_, page) in sorted.prefix(top) {
      let low = "0x" + Self.hexadecimal(page.low, width: 8)
      let high = page.high == page.low ? "" : "-0x" + Self.hexadecimal(page.high, width: 8)
      table.rows.append([low + high, "\(page.reads)", "\(page.writes)"])
    }
    return ["", "MMIO: \(accesses.total) accesses"] + table.lines + textOfRest(pages.count, accesses.others)
  }

  private func textOfPorts() -> [String] {
    guard statistics.ports.total > 0 else { return [] }
    var table = Table(["port", "access", "size", "count"])
    for element in statistics.ports.byCount.prefix(top) {
      let access = element.key
      table.rows.append([
        "0x" + Self.hexadecimal(access.address, width: 3), access.isWrite ? "write" : "read", "\(access.size)",
        "\(element.value)",
      ])
    }
    return ["", "Ports: \(statistics.ports.total) accesses"] + table.lines
      + textOfRest(statistics.ports.count, statistics.ports.others)
  }

  /// What is not listed: of so many rows those beyond the limit, and accesses to places that were not kept apart.
  private func textOfRest(_ rows: Int, _ others: UInt64) -> [String] {
    var lines: [String] = []
    if rows > top { lines.append("  and \(rows - top) more (--top 0 lists all)") }
    if others > 0 { lines.append("  and \(others) accesses to still other places") }
    return lines
  }

  private func textOfModelSpecific() -> [String] {
    guard statistics.modelSpecific.total > 0 else { return [] }
    var table = Table(["MSR", "access", "count", "#GP"])
    for element in statistics.modelSpecific.byCount.prefix(top) {
      let access = element.key
      table.rows.append([
        "0x" + Self.hexadecimal(access.address, width: 8), access.isWrite ? "write" : "read", "\(element.value)",
        "\(statistics.faultedModelSpecific[access] ?? 0)",
      ])
    }
    return ["", "MSRs: \(statistics.modelSpecific.total) accesses"] + table.lines
      + textOfRest(statistics.modelSpecific.count, statistics.modelSpecific.others)
  }

  private func textOfExceptions() -> [String] {
    guard statistics.exceptions.total > 0 else { return [] }
    var table = Table(["exception", "error code", "count"])
    for (exception, count) in Self.byCount(statistics.exceptions) {
      table.rows.append([
        exception.map { ExceptionVector(rawValue: $0.vector).name } ?? "others",
        exception?.errorCode.map { "0x" + String($0, radix: 16) } ?? "", "\(count)",
      ])
    }
    return ["", "Exceptions that KVM injected:"] + table.lines
  }

  private func textOfEvents() -> [String] {
    var table = Table(["event", "count"])
    for (name, count) in sortedEvents { table.rows.append([name, "\(count)"]) }
    return table.rows.isEmpty ? [] : ["", "Events:"] + table.lines
  }

  private var sortedEvents: [(name: String, count: UInt64)] {
    context.events.indices.filter { statistics.eventCounts[$0] > 0 }
      .map { index in
        let event = context.events[index]
        return (
          name: event.system.isEmpty ? event.name : "\(event.system):\(event.name)",
          count: statistics.eventCounts[index]
        )
      }
      .sorted { ($1.count, $0.name) < ($0.count, $1.name) }
  }

  // MARK: JSON

  var json: String {
    var members: [String] = [
      "\"format\":\(JSONText.quoted(context.kind.description))", "\"events\":\(eventCount)",
      "\"lost\":\(statistics.lostEvents)", "\"lostMarks\":\(statistics.lostMarks)",
      "\"damages\":[\(statistics.damages.map { JSONText.quoted($0.description) }.joined(separator: ","))]",
      "\"vcpus\":[\(threads.map { jsonOfThread($0.id, $0.statistics) }.joined(separator: ","))]",
    ]
    for (name, accesses) in [
      ("mmio", statistics.memory), ("ports", statistics.ports), ("msrs", statistics.modelSpecific),
    ] {
      let rows = accesses.byCount.prefix(top).map { element in
        let access = element.key
        let faults = name == "msrs" ? ",\"faults\":\(statistics.faultedModelSpecific[access] ?? 0)" : ""
        let size = name == "msrs" ? "" : ",\"size\":\(access.size)"
        return "{\"address\":\(access.address),\"write\":\(access.isWrite)\(size),\"count\":\(element.value)\(faults)}"
      }
      members.append("\"\(name)\":[\(rows.joined(separator: ","))]")
    }
    let exceptions = Self.byCount(statistics.exceptions).map { exception, count in
      "{\"vector\":\(Self.json(exception?.vector)),\"errorCode\":\(Self.json(exception?.errorCode)),\"count\":\(count)}"
    }
    members.append("\"exceptions\":[\(exceptions.joined(separator: ","))]")
    let counts = sortedEvents.map { "\(JSONText.quoted($0.name)):\($0.count)" }
    members.append("\"eventCounts\":{\(counts.joined(separator: ","))}")
    return "{\(members.joined(separator: ","))}\n"
  }

  /// A number, or null.
  private static func json(_ number: (some FixedWidthInteger)?) -> String { number.map { "\($0)" } ?? "null" }

  private func jsonOfThread(_ id: Int32?, _ thread: ThreadStatistics) -> String {
    let exits = Self.byCount(thread.exits).map { reason, exits in
      let times = exits.durations
      return "{\"reason\":\(JSONText.quoted(reason?.name ?? "others")),\"code\":\(Self.json(reason?.code)),"
        + "\"count\":\(exits.count),\"timed\":\(times.count),\"total\":\(times.total),\"mean\":\(times.mean),"
        + "\"p50\":\(times.quantile(0.5)),\"p99\":\(times.quantile(0.99)),\"max\":\(times.maximum)}"
    }
    let userspace = Self.byCount(thread.userspaceExits)
      .map { "\(JSONText.quoted($0.key?.name ?? "others")):\($0.value)" }
    return "{\"vcpu\":\(Self.json(thread.number)),\"thread\":\(Self.json(id)),\"entries\":\(thread.entries),"
      + "\"exits\":[\(exits.joined(separator: ","))],\"userspaceExits\":{\(userspace.joined(separator: ","))},"
      + "\"emulations\":\(thread.emulations),\"failedEmulations\":\(thread.failedEmulations),"
      + "\"walks\":\(thread.walks),\"failedWalks\":\(thread.failedWalks)}"
  }

  // MARK: Words

  private static func share(_ part: UInt64, of total: UInt64) -> String {
    fixed(total == 0 ? 0 : part * 1000 / total, places: 1) + "%"
  }

  private static func hexadecimal(_ value: UInt64, width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }

  /// Nanoseconds in the unit that suits them.
  static func duration(_ nanoseconds: UInt64) -> String {
    switch nanoseconds {
    case ..<10_000: "\(nanoseconds) ns"
    case ..<10_000_000: fixed(nanoseconds / 100, places: 1) + " us"
    case ..<10_000_000_000: fixed(nanoseconds / 100_000, places: 1) + " ms"
    default: fixed(nanoseconds / 100_000_000, places: 1) + " s"
    }
  }

  /// A number of tenths with its point.
  private static func fixed(_ tenths: UInt64, places: Int) -> String { "\(tenths / 10).\(tenths % 10)" }
}

/// Rows in columns: the first left-aligned, the others right-aligned.
private struct Table {
  let head: [String]
  var rows: [[String]] = []

  init(_ head: [String]) { self.head = head }

  var lines: [String] {
    let all = [head] + rows
    let widths = head.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      "  "
        + row.indices.map { column in
          let padding = String(repeating: " ", count: widths[column] - row[column].count)
          return column == 0 ? row[column] + padding : padding + row[column]
        }
        .joined(separator: "  ")
    }
  }
}
