extension TextTraceHeader {
  /// Finds the name of the event in a line and reads what stands before it; nil if the line is no event.
  static func find(in line: Span<UInt8>, isFirst: Bool) -> (TextTraceHeader, TextTraceEventName)? {
    find(in: line, anchor: .time, isFirst: isFirst) ?? find(in: line, anchor: .cpu, isFirst: isFirst)
      ?? find(in: line, anchor: .thread, isFirst: isFirst)
  }

  /// What stands directly before the event's name.
  private enum Anchor {
    /// `8.732914:`, in most traces.
    case time
    /// `[000]`, in traces without times.
    case cpu
    /// `14630`, in those of perf without both; the name must then bear its system.
    case thread
  }

  private static func find(
    in line: Span<UInt8>, anchor: Anchor, isFirst: Bool
  ) -> (TextTraceHeader, TextTraceEventName)? {
    var cursor = TextCursor(line)
    while true {
      cursor.skipBlanks()
      let start = cursor.offset
      var word = cursor.takeWord()
      if word.isEmpty { return nil }
      // The delay mark of the latency format may be a blank.
      if word.hasSuffix("us"), cursor.skip(" :") { word = line.extracting(start..<cursor.offset) }
      guard isAnchor(word, anchor) else { continue }
      var next = cursor
      if anchor == .time { next.skipTimeNotes() }
      next.skipBlanks()
      guard let event = TextTraceEventName(in: line, at: next.offset) else { continue }
      var header = TextTraceHeader()
      if header.read(anchor, word, at: start, in: line), anchor != .thread || !event.system.isEmpty {
        if isFirst { header.forgetWhatMayBeCut() }
        return (header, event)
      }
      if isFirst, anchor == .time, header.time != nil { return (header, event) }
    }
  }

  /// A text cut at its start may have lost the first digits of its first number.
  private mutating func forgetWhatMayBeCut() {
    guard task.isEmpty else { return }
    if threadID != nil || processID != nil {
      threadID = nil
      processID = nil
    } else if cpu == nil {
      time = nil
    }
  }

  private static func isAnchor(_ word: Span<UInt8>, _ anchor: Anchor) -> Bool {
    switch anchor {
    case .time: word[0].isDigit && word[word.count - 1] == UInt8(ascii: ":")
    case .cpu: word[0] == UInt8(ascii: "[") && word[word.count - 1] == UInt8(ascii: "]")
    case .thread: word[word.count - 1].isDigit
    }
  }

  // MARK: The time

  private mutating func read(_ anchor: Anchor, _ word: Span<UInt8>, at start: Int, in line: Span<UInt8>) -> Bool {
    guard anchor == .time else { return read(beforeTime: start + word.count, in: line) }
    guard read(time: word) else { return false }
    // A time of unknown units with nothing before it is more easily some other number of some other text.
    let isAlone = line.extracting(0..<start).trimmed.isEmpty
    return isAlone ? ticks == nil : read(beforeTime: start, in: line)
  }

  /// `8.732914:` and `8.732913517:` in seconds, `123us!:` in microseconds, `8732913517:` in unknown units.
  private mutating func read(time word: Span<UInt8>) -> Bool {
    var cursor = TextCursor(word)
    guard let whole = cursor.takeDecimal() else { return false }
    if cursor.skip(".") {
      let fractionStart = cursor.offset
      guard let fraction = cursor.takeDecimal(), cursor.offset - fractionStart <= 9 else { return false }
      var nanoseconds = fraction
      for _ in (cursor.offset - fractionStart)..<9 { nanoseconds *= 10 }
      let (scaled, overflow) = whole.multipliedReportingOverflow(by: 1_000_000_000)
      let (sum, carry) = scaled.addingReportingOverflow(nanoseconds)
      guard !overflow, !carry else { return false }
      time = sum
    } else if cursor.skip("us") {
      // The delay mark of the latency format (kernel/trace/trace_output.c: lat_print_timestamp, Linux 6.1).
      if cursor.peek(1) == UInt8(ascii: ":") { cursor.skipByte() }
      let (scaled, overflow) = whole.multipliedReportingOverflow(by: 1000)
      guard !overflow else { return false }
      time = scaled
    } else {
      ticks = whole
    }
    return cursor.skip(":") && cursor.isAtEnd
  }

  // MARK: Before the time

  /// Reads backwards from the end of the fixed columns: flags, CPU, process, thread, task.
  private mutating func read(beforeTime end: Int, in line: Span<UInt8>) -> Bool {
    var columns = BackwardColumns(line, end: end)
    cpu = columns.takeCPU()
    if cpu == nil, columns.skipFlags() {
      cpu = columns.takeCPU()
      if cpu == nil { columns.unskip(to: end) }
    }
    if cpu == nil { cpu = columns.takeLatencyCPU() }
    processID = columns.takeProcess()
    if columns.end == 0 { return cpu != nil }
    guard let thread = columns.takeThread() else { return false }
    threadID = thread.id
    if let process = thread.process { processID = process }
    task = TextTraceHeader.task(in: line, upTo: columns.end)
    return true
  }

  /// The task's name in what is left of the line, without what a tool may have put before it.
  private static func task(in line: Span<UInt8>, upTo end: Int) -> Range<Int> {
    var start = 0
    // A task's name has at most 15 bytes (TASK_COMM_LEN). What is longer carries the file's name that trace-cmd puts
    // before each line when it reads several (`dies.trace.dat:  qemu-system-x86`), or the line's number from grep -n.
    while end - start > 15, let colon = line.firstIndex(of: UInt8(ascii: ":"), from: start), colon + 1 < end {
      let isLineNumber = line.extracting(start..<colon).isDecimal
      guard isLineNumber || line[colon + 1].isBlank else { break }
      start = colon + 1
    }
    while start < end, line[start].isBlank { start += 1 }
    return start..<end
  }
}

/// Reads the columns of a line from right to left.
private struct BackwardColumns: ~Escapable {
  private let line: Span<UInt8>
  /// The end of what has not been read, without blanks.
  private(set) var end: Int

  @_lifetime(copy line)
  init(_ line: Span<UInt8>, end: Int) {
    self.line = line
    self.end = end
    skipBlanks()
  }

  @_lifetime(self: copy self)
  private mutating func skipBlanks() {
    while end > 0, line[end - 1].isBlank { end -= 1 }
  }

  /// The start of the word that ends here.
  private var wordStart: Int {
    var start = end
    while start > 0, !line[start - 1].isBlank { start -= 1 }
    return start
  }

  @_lifetime(self: copy self)
  mutating func unskip(to end: Int) {
    self.end = end
    skipBlanks()
  }

  /// The flags of ftrace and trace-cmd (`d..1.`, four to six of them) or perf's misc column (`K`).
  @_lifetime(self: copy self)
  mutating func skipFlags() -> Bool {
    let start = wordStart
    guard end - start <= 7 else { return false }
    end = start
    skipBlanks()
    return true
  }

  /// `[000]`.
  @_lifetime(self: copy self)
  mutating func takeCPU() -> Int? {
    let start = wordStart
    guard end - start > 2, line[start] == UInt8(ascii: "["), line[end - 1] == UInt8(ascii: "]"),
      let number = line.extracting((start + 1)..<(end - 1)).decimal, let cpu = Int(exactly: number)
    else { return nil }
    end = start
    skipBlanks()
    return cpu
  }

  /// `0d..1.`: the CPU and the flags of the latency format, in one word.
  @_lifetime(self: copy self)
  mutating func takeLatencyCPU() -> Int? {
    let start = wordStart
    var flags = start
    while flags < end, line[flags].isDigit { flags += 1 }
    guard flags > start, (4...6).contains(end - flags), line.extracting(flags..<end).isLatencyFlags,
      let number = line.extracting(start..<flags).decimal, let cpu = Int(exactly: number)
    else { return nil }
    end = start
    skipBlanks()
    return cpu
  }

  /// `(   1234)`, or `(-------)` where the process is not known.
  @_lifetime(self: copy self)
  mutating func takeProcess() -> Int32? {
    guard end > 0, line[end - 1] == UInt8(ascii: ")") else { return nil }
    var start = end - 1
    while start > 0, line[start - 1].isBlank || line[start - 1].isDigit || line[start - 1] == UInt8(ascii: "-") {
      start -= 1
    }
    guard start > 0, line[start - 1] == UInt8(ascii: "(") else { return nil }
    let process = line.extracting(start..<(end - 1)).trimmed.decimal
    end = start - 1
    skipBlanks()
    return process.flatMap { Int32(exactly: $0) }
  }

  /// `-125` after the task, ` 14630`, or ` 14628/14630`; and leaves the end of the task's name.
  @_lifetime(self: copy self)
  mutating func takeThread() -> (id: Int32?, process: Int32?)? {
    guard let last = takeNumber() else { return nil }
    guard end > 0, !line[end - 1].isBlank else {
      skipBlanks()
      return (last, nil)
    }
    if line[end - 1] == UInt8(ascii: "/") {
      end -= 1
      let process = takeNumber()
      skipBlanks()
      return (last, process)
    }
    guard line[end - 1] == UInt8(ascii: "-") else { return nil }
    end -= 1
    // perf writes -1 for a thread it does not know, apart from the task.
    let isUnknown = last == 1 && end > 0 && line[end - 1].isBlank
    skipBlanks()
    return (isUnknown ? nil : last, nil)
  }

  @_lifetime(self: copy self)
  private mutating func takeNumber() -> Int32? {
    var start = end
    while start > 0, line[start - 1].isDigit { start -= 1 }
    guard let number = line.extracting(start..<end).decimal.flatMap({ Int32(exactly: $0) }) else { return nil }
    end = start
    return number
  }
}

extension TextCursor {
  /// Reads over what may stand between the time and the event's name: the difference to the time before
  /// (`(+791)`, trace-cmd report --ts-diff) and perf's period.
  @_lifetime(self: copy self)
  fileprivate mutating func skipTimeNotes() {
    skipBlanks()
    let start = offset
    let word = takeWord()
    if !word.isDecimal, !word.hasPrefix("(+") { move(to: start) }
  }
}

extension Span where Element == UInt8 {
  fileprivate var isDecimal: Bool {
    for index in indices where !self[index].isDigit { return false }
    return count > 0
  }

  /// The number that these bytes are the digits of.
  fileprivate var decimal: UInt64? {
    var cursor = TextCursor(self)
    let value = cursor.takeDecimal()
    return cursor.isAtEnd ? value : nil
  }

  /// Whether each byte may be a latency flag (kernel/trace/trace_output.c: trace_print_lat_fmt, Linux 6.19).
  fileprivate var isLatencyFlags: Bool {
    for index in indices {
      let byte = self[index]
      guard byte == UInt8(ascii: ".") || byte == UInt8(ascii: "#") || byte.isLetter || byte.isDigit else {
        return false
      }
    }
    return true
  }
}
