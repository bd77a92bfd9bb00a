import Files
import KVM
import KernelTypes
import Traces
import X86

/// Prints a recording of probes: the calls in C's manner, KVM's events as the kernel does, in the order of time.
struct ProbePrinter {
  private let context: TraceContext
  private let group: String
  private let probes: [String: FunctionProbe]
  private var printers: [Int: EventPrinter?] = [:]
  /// For each thread the calls that have not returned, with whether they are shown.
  private var calls: [Int32: [(function: String, isShown: Bool)]] = [:]
  /// How often each function was called.
  private(set) var counts: [String: Int] = [:]
  /// Whether the last entry of a thread is shown, for the stack behind it.
  private var isEntryShown: [Int32: Bool] = [:]

  private enum EventPrinter {
    case entry(FunctionProbe, EventFormat)
    case exit(FunctionProbe, EventFormat)
    case stack(EventFormat)
    case tracepoint(EventFormat, PrintFormat?)
  }

  init(_ context: TraceContext, group: String, _ probes: [FunctionProbe]) {
    self.context = context
    self.group = group
    self.probes = Dictionary(probes.map { ($0.function, $0) }) { first, _ in first }
    for probe in probes { counts[probe.function] = 0 }
  }

  /// The line, or lines, of an item; nil for what is not to be shown.
  mutating func text(of item: borrowing TraceItem) -> String? {
    switch item {
    case .event(let event):
      guard let index = event.event, let printer = printer(of: index), let words = words(of: event, printer) else {
        return nil
      }
      let task = context.taskNames.text(of: event.taskName) ?? "thread"
      return "\(timeText(event.time)) \(task)-\(event.threadID)  \(words)"
    case .lost(let lost, _, let time):
      return "\(timeText(time)) CPU \(lost.cpu ?? 0): \(lost.count.map(String.init) ?? "some") events were lost here"
    case .damage(let damage): return damage.description
    }
  }

  private mutating func printer(of index: Int) -> EventPrinter? {
    if let known = printers[index] { return known }
    let made = makePrinter(index)
    printers[index] = .some(made)
    return made
  }

  private func makePrinter(_ index: Int) -> EventPrinter? {
    guard case .success(let format) = context.events.format(at: index) else { return nil }
    if format.system == "ftrace" { return format.name == "kernel_stack" ? .stack(format) : nil }
    guard format.system == group else {
      let symbols = context.symbols
      let print = try? PrintFormat(format, symbols: PrintSymbols(symbol: { symbols.symbol(at: $0) }))
      return .tracepoint(format, print)
    }
    let (function, isReturn) = FunctionProbe.function(ofEvent: format.name)
    guard let probe = probes[function] else { return nil }
    return isReturn ? .exit(probe, format) : .entry(probe, format)
  }

  private mutating func words(of event: borrowing TraceEvent, _ printer: EventPrinter) -> String? {
    switch printer {
    case .entry(let probe, let format): entry(event, probe, format)
    case .exit(let probe, let format): exit(event, probe, format)
    case .stack(let format): isEntryShown[event.threadID] == true ? stack(event.payload, format) : nil
    case .tracepoint(let format, let print): "\(format.name): \(Self.text(event.payload, format, print))"
    }
  }

  private mutating func entry(
    _ event: borrowing TraceEvent, _ probe: FunctionProbe, _ format: EventFormat
  ) -> String? {
    counts[probe.function, default: 0] += 1
    let values = probe.arguments.map { Self.value(of: $0, format, event.payload) }
    let isShown =
      probe.condition?.holds { expression in
        zip(probe.arguments, values).first { $0.0.expression == expression.description }?.1
      } ?? true
    if probe.wantsReturn { calls[event.threadID, default: []].append((probe.function, isShown)) }
    isEntryShown[event.threadID] = isShown
    guard isShown else { return nil }
    let words = zip(probe.arguments, values).prefix(probe.shownCount).map { argument, value in
      "\(argument.expression) = \(text(argument, value, format, event.payload))"
    }
    return "\(probe.function)(\(words.joined(separator: ", ")))"
  }

  private mutating func exit(
    _ event: borrowing TraceEvent, _ probe: FunctionProbe, _ format: EventFormat
  ) -> String? {
    // A call whose entry was lost, or began before the recording, has no partner: calls inside it are then over, too.
    if let place = calls[event.threadID]?.lastIndex(where: { $0.function == probe.function }) {
      let isShown = calls[event.threadID]?[place].isShown ?? true
      calls[event.threadID]?.removeSubrange(place...)
      guard isShown else { return nil }
    }
    guard let returned = probe.returned else { return "\(probe.function) returns" }
    let value = Self.value(of: returned, format, event.payload)
    return "\(probe.function) returns \(text(returned, value, format, event.payload))"
  }

  private static func value(
    of argument: FetchArgument, _ format: EventFormat, _ record: RawSpan
  ) -> ArgumentValue? {
    guard let location = format.location(of: argument.field), let bits = location.integer(in: record) else {
      return nil
    }
    return ArgumentValue(bits: bits, isSigned: location.isSigned)
  }

  private func text(
    _ argument: FetchArgument, _ value: ArgumentValue?, _ format: EventFormat, _ record: RawSpan
  ) -> String {
    if case .string = argument.form {
      return format.field(argument.field)?.string(in: record).map { "\"\($0)\"" } ?? "?"
    }
    if case .array = argument.form { return bytes(argument, format, record) }
    guard let value else { return "?" }
    switch argument.form {
    case .decimal(isSigned: true): return String(Int64(bitPattern: value.bits))
    case .decimal(isSigned: false): return String(value.bits)
    case .boolean: return value.bits == 0 ? "false" : "true"
    case .enumeration(let enumeration):
      return enumeration.values.first { $0.value == value.bits }?.name ?? String(Int64(bitPattern: value.bits))
    case .function: return symbol(value.bits)
    case .hexadecimal, .string, .array: return Self.hexadecimal(value.bits, argument.expression)
    }
  }

  private func bytes(_ argument: FetchArgument, _ format: EventFormat, _ record: RawSpan) -> String {
    guard let bytes = format.field(argument.field)?.bytes(in: record) else { return "?" }
    return bytes.byteOffsets.map { offset in
      let digits = String(bytes.load(UInt8.self, at: offset), radix: 16)
      return digits.count < 2 ? "0" + digits : digits
    }.joined(separator: " ")
  }

  /// What KVM calls an access or an error code is in the bits of a page fault's.
  private static func hexadecimal(_ bits: UInt64, _ expression: String) -> String {
    let name = expression.split(whereSeparator: { $0 == ">" || $0 == "." }).last ?? ""
    guard name == "access" || name == "error_code", let code = UInt32(exactly: bits) else { return bits.hexadecimal }
    let names = PageFaultErrorCode(rawValue: code).names
    return names.isEmpty ? bits.hexadecimal : "\(bits.hexadecimal) (\(names.joined(separator: "|")))"
  }

  private func symbol(_ address: UInt64) -> String {
    guard let symbol = context.symbols.symbol(at: address) else { return address.hexadecimal }
    return symbol.offset == 0 ? symbol.name : "\(symbol.name)+\(symbol.offset.hexadecimal)"
  }

  /// The callers, from the probed function's own on.
  ///
  /// The record goes on behind the eight addresses that its format declares (kernel/trace/trace_entries.h, 6.1); the
  /// first ones are of the probe itself.
  private func stack(_ record: RawSpan, _ format: EventFormat) -> String? {
    guard let start = format.field("caller")?.offset else { return nil }
    let count = format.location(of: "size")?.integer(in: record).flatMap(Int.init(exactly:)) ?? 0
    let available = max(record.byteCount - start, 0) / 8
    let names = (0..<min(count, available)).map {
      symbol(record.load(UInt64.self, at: start + 8 * $0, context.machine.byteOrder))
    }
    let own = names.firstIndex { name in probes.keys.contains { name == $0 || name.hasPrefix("\($0)+") } }
    let callers = own.map { names[($0 + 1)...] } ?? names[...]
    return "called from" + callers.map { "\n      <- \($0)" }.joined()
  }

  private static func text(_ record: RawSpan, _ format: EventFormat, _ print: PrintFormat?) -> String {
    var buffer = TextBuffer(capacity: 256)
    if let print, print.render(record, into: &buffer) { return buffer.string }
    buffer.removeAll()
    format.printFields(of: record, into: &buffer)
    return buffer.string
  }
}

/// Nanoseconds as `seconds.microseconds`.
private func timeText(_ nanoseconds: UInt64) -> String {
  let micro = String(nanoseconds / 1000 % 1_000_000)
  return "\(nanoseconds / 1_000_000_000)." + String(repeating: "0", count: 6 - micro.count) + micro
}
