import Files
import FoundationEssentials
import Glibc
import GuestImage
import GuestMemory
import Investigation
import KVM
import QEMU
import Traces
import X86

/// A file that somebody has of a death, recognised by its content.
enum Exhibit {
  /// Text: a trace, what QEMU printed, or both.
  case text(KVMTrace, [QEMULogEntry], name: String)
  case trace(KVMDeathRecords, TraceContext, name: String)
  case image(GuestImage)
  case memory(MemoryDump, name: String)

  /// - Parameter name: What a citation calls the file.
  init(_ input: FileInput, name: String) throws(Failure) {
    let bytes = input.memory.bytes.text
    guard !bytes.isEmpty else { throw Failure(input.problem?.description ?? "empty") }
    if TraceFile.kind(of: input.memory.bytes) != nil {
      do throws(TraceFileError) {
        let trace = try TraceFile(input)
        self = .trace(KVMDeathRecords(trace), trace.context, name: name)
      } catch {
        throw Failure(error.description)
      }
    } else if MemoryDump.isDump(input.memory.bytes) {
      do throws(FileError) {
        self = .memory(try MemoryDump(input), name: name)
      } catch {
        throw Failure(error.description)
      }
    } else if bytes.count >= 4, bytes[0] == 0x7F, bytes[1] == 0x45, bytes[2] == 0x4C, bytes[3] == 0x46 {
      do throws(ImageError) {
        self = .image(try GuestImage(bytes))
      } catch {
        throw Failure(error.description)
      }
    } else if let form = UnreadForm(bytes) {
      throw Failure(form.words)
    } else if let text = PlainText.lines(of: bytes) {
      self = try Self.text(text.span, name: name)
    } else {
      self = try Self.text(bytes, name: name)
    }
  }

  private static func text(_ bytes: Span<UInt8>, name: String) throws(Failure) -> Self {
    let trace = KVMTrace(text: bytes)
    let log = QEMULog.parse(
      utf8: bytes.indices.map { bytes[$0] }, leavingOut: Set(trace.records.compactMap(\.line)))
    guard !trace.records.isEmpty || !log.isEmpty else {
      throw Failure(
        "nothing in it is known: no KVM event, no register dump, no message or command line of QEMU, and it is no trace "
          + "and no ELF file")
    }
    return .text(trace, log, name: name)
  }

  /// Adds what the file tells to what is known.
  func add(to scene: inout Scene) {
    switch self {
    case .image(let image): scene.image = image
    case .memory(let dump, let name):
      for problem in dump.problems { standardError.write("inquest: \(name): \(problem.description)\n") }
      scene.processors += dump.processors.enumerated().map { index, state in
        ObservedProcessor(index: index, state: state, source: .file(name))
      }
      scene.take(dump)
    case .trace(let deaths, let context, let name):
      scene.traceHoles.formUnion(deaths.holes.map { scene.trace.count + $0 })
      scene.trace += deaths.records
      scene.accelerator = scene.accelerator ?? (deaths.records.isEmpty ? nil : Sourced(.kvm, .file(name)))
      if let release = context.host.release { scene.host.kernelRelease = Sourced(release, .file(name)) }
    case .text(let trace, let log, let name):
      scene.traceHoles.formUnion(trace.lost.map { scene.trace.count + $0.position })
      scene.trace += trace.records
      scene.log += Sourced.messages(of: log, named: name)
      scene.processors += ObservedProcessor.all(in: log.dumpsOfDeath) { .log(name: name, line: $0) }
      if let command = log.lastCommandLine { scene.commandLine = command }
      scene.accelerator = scene.accelerator ?? accelerator(trace, log, name: name)
    }
  }

  private func accelerator(_ trace: KVMTrace, _ log: [QEMULogEntry], name: String) -> Sourced<Accelerator>? {
    if !trace.records.isEmpty { return Sourced(.kvm, .log(name: name, line: trace.records[0].line ?? 1)) }
    for entry in log {
      let source = Source.log(name: name, line: entry.lines.lowerBound)
      switch entry.message {
      case .kvmInternalError, .kvmEntryFailed, .kvmExceptionExit, .kvmUnknownExit, .kvmUnknownExitReason, .kvmRunFailed,
        .kvmNotifyExit, .registersRefused, .vmcs, .vmcb:
        return Sourced(.kvm, source)
      case .interrupt, .exceptionCheck, .tripleFault, .executionOutsideMemory: return Sourced(.tcg, source)
      default: continue
      }
    }
    return log.lastCommandLine.flatMap { $0.accelerators.count == 1 ? $0.accelerators.first : nil }
      .map { Sourced($0, .commandLine) }
  }
}

extension Scene {
  /// Takes a dump's memory, behind that which is known already.
  mutating func take(_ dump: MemoryDump) {
    if let known = memory {
      memory = LayeredMemory([known, dump.memory])
    } else {
      memory = dump.memory
    }
    let memoryRanges = dump.ranges.map { range in
      MemoryMap.Range(
        first: range.lowerBound, last: PhysicalAddress(range.upperBound.rawValue - 1), kind: .ram,
        name: dump.format.description, offset: 0)
    }
    memoryMap = memoryMap ?? MemoryMap(ranges: memoryRanges)
  }

  /// What the files tell of one guest; `-` is standard input.
  init(files: [String]) throws {
    self.init()
    try add(files: files)
  }

  /// Adds what the files tell. A case, of which there may be one, tells first.
  mutating func add(files: [String]) throws {
    let cases = try files.compactMap { try CaseExhibit(at: $0) }
    guard cases.count < 2 else { throw Failure("two cases are of two guests: give one") }
    if let record = cases.first { self = record.scene }
    try add(files: files.filter { file in cases.allSatisfy { $0.path != file } }, of: cases.first)
  }

  private mutating func add(files: [String], of record: CaseExhibit?) throws {
    defer { record?.addImage(to: &self) }
    for file in files {
      if file == "-", isatty(STDIN_FILENO) == 1 {
        standardError.write("Paste the dump or the trace, then press Ctrl-D.\n")
      }
      if let folder = try MemoryFolder(at: file) {
        take(try MemoryDump(folder.images, of: file))
        continue
      }
      if let raw = RawMemoryArgument(withAddress: file) {
        take(try MemoryDump(rawMemory: [raw]))
        continue
      }
      let input = try FileInput(fileAt: file)
      do {
        try Exhibit(input, name: citedName(file)).add(to: &self)
      } catch {
        throw Failure("\(nameOfFile(at: file)): \(error)")
      }
    }
  }
}

extension [QEMULogEntry] {
  /// The register dumps of the death: those that follow KVM's last error, or the last one before TCG's triple fault, else
  /// the last of each processor.
  fileprivate var dumpsOfDeath: [QEMULogEntry] {
    if let error = last(where: \.message.isKVMError) {
      // With several vCPUs another's error may stand inside the dump.
      let following = filter { $0.message.isDump && $0.lines.upperBound > error.lines.lowerBound }
      if !following.isEmpty { return following }
    }
    if let end = lastIndex(where: \.message.isTripleFaultElsewhere) {
      // Bochs prints the registers in front of these words, VirtualBox behind them.
      let dump = self[..<end].last(where: \.message.isDump) ?? self[end...].first(where: \.message.isDump)
      return dump.map { [$0] } ?? []
    }
    guard let end = lastIndex(where: { $0.message == .tripleFault }) else { return lastDumps }
    guard let last = self[..<end].lastIndex(where: \.message.isDump), !isOfPassage(last) else { return [] }
    return [self[last]]
  }

  /// Whether a dump shows a processor that entered or left SMM, or was reset: what it executed since, it does not show.
  private func isOfPassage(_ index: Index) -> Bool {
    guard index > startIndex else { return false }
    switch self[index - 1].message {
    case .smmEntered, .smmLeft, .cpuReset: return true
    default: return false
    }
  }

  /// The dumps that the log ends with, one of each processor, as `info registers -a` and a reset of all print them.
  private var lastDumps: [QEMULogEntry] {
    guard let end = lastIndex(where: \.message.isDump) else { return [] }
    if end > startIndex, [.smmEntered, .smmLeft].contains(self[end - 1].message) { return [] }
    // What TCG lists behind the dump was executed since.
    if self[end...].contains(where: \.message.isListingOfGuest) { return [] }
    var dumps = [self[end]]
    var seen: Set = [self[end].message.processorOfDump]
    guard seen != [nil] else { return dumps }
    for entry in self[..<end].reversed() {
      if case .cpuReset = entry.message { continue }
      guard let cpu = entry.message.processorOfDump, seen.insert(cpu).inserted else { break }
      dumps.insert(entry, at: 0)
    }
    return dumps
  }

  fileprivate var lastCommandLine: QEMUCommandLine? {
    for entry in reversed() {
      if case .commandLine(let recorded) = entry.message { return recorded.commandLine }
    }
    return nil
  }
}

extension QEMUMessage {
  fileprivate var isTripleFaultElsewhere: Bool {
    if case .statement(let statement) = self { statement.isTripleFault } else { false }
  }

  fileprivate var isListingOfGuest: Bool {
    if case .codeListing(let listing) = self { listing.isOfGuest } else { false }
  }

  fileprivate var isDump: Bool { if case .registerDump = self { true } else { false } }

  /// The number of the processor that a dump is of, where its header has it.
  fileprivate var processorOfDump: Int? { if case .registerDump(let dump) = self { dump.cpu } else { nil } }

  fileprivate var isKVMError: Bool {
    switch self {
    case .kvmInternalError, .kvmEntryFailed, .kvmExceptionExit, .kvmUnknownExit, .kvmUnknownExitReason, .kvmRunFailed,
      .kvmNotifyExit:
      true
    default: false
    }
  }
}
