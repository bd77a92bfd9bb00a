/// What a trace.dat says besides its events.
public struct TraceDatMetadata: Sendable {
  public var machine: RecordingMachine
  /// The size of the machine's pages in bytes.
  public var pageSize: Int
  /// The texts of tracefs `events/header_page` and `events/header_event`.
  public var headerPage: [UInt8] = []
  public var headerEvent: [UInt8] = []
  /// The `format` texts of the system `ftrace`.
  public var ftraceFormats: [[UInt8]] = []
  /// The `format` texts of the other systems.
  public var systems: [(name: String, formats: [[UInt8]])] = []
  /// The text of /proc/kallsyms.
  public var symbols: [UInt8] = []
  /// The text of tracefs `printk_formats`.
  public var printkFormats: [UInt8] = []
  /// The text of tracefs `saved_cmdlines`: lines `PID NAME`.
  public var commandLines: [UInt8] = []
  /// The text of tracefs `trace_clock`: all clocks, the one in use in brackets.
  public var clocks = "[local]"
  /// `Linux HOST RELEASE MACHINE`.
  public var uname: String?
  /// For each CPU the text of tracefs `per_cpu/cpuN/stats`.
  public var bufferStatistics: [String] = []
  public var cpuCount: Int

  public init(machine: RecordingMachine, pageSize: Int = 4096, cpuCount: Int) {
    self.machine = machine
    self.pageSize = pageSize
    self.cpuCount = cpuCount
  }

  /// What describes the pages that ``RingBufferPageBuilder`` makes for x86-64, as the kernel's tracefs does (6.1, 6.18).
  public static func amd64(cpuCount: Int) -> Self {
    var metadata = Self(machine: .amd64, cpuCount: cpuCount)
    metadata.headerPage = Array(
      """
      \tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
      \tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
      \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
      \tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;

      """.utf8)
    metadata.headerEvent = Array(
      """
      # compressed entry header
      \ttype_len    :    5 bits
      \ttime_delta  :   27 bits
      \tarray       :   32 bits

      \tpadding     : type == 29
      \ttime_extend : type == 30
      \ttime_stamp : type == 31
      \tdata max type_len  == 28

      """.utf8)
    return metadata
  }

  /// What another trace says of itself, but for the threads' names, which reading its events may tell.
  public init(_ context: TraceContext) {
    self.init(machine: context.machine, cpuCount: context.buffers.map(\.cpuCount).max() ?? 0)
    headerPage = context.headerPage
    headerEvent = context.headerEvent
    for event in context.events where !event.formatText.isEmpty {
      if event.system == "ftrace" {
        ftraceFormats.append(event.formatText)
      } else if let index = systems.firstIndex(where: { $0.name == event.system }) {
        systems[index].formats.append(event.formatText)
      } else {
        systems.append((event.system, [event.formatText]))
      }
    }
    // Without its symbols a trace can still be written.
    symbols = (try? context.symbols.text()) ?? []
    printkFormats = context.printkFormats
    clocks = "[\(context.clock ?? "local")]"
    let host = context.host
    uname = host.uname ?? host.release.map { "Linux \(host.hostname ?? "?") \($0) \(host.architecture ?? "?")" }
    bufferStatistics = host.bufferStatistics
  }
}
