import GuestImage
import Investigation
import KVM
import QEMU

/// A file that somebody has of a death, recognised by its content.
enum Exhibit {
  /// Text: a trace, what QEMU printed, or both.
  case text(KVMTrace, [QEMULogEntry], name: String)
  case image(GuestImage)

  /// - Parameter name: What a citation calls the file.
  init(_ bytes: [UInt8], name: String) throws(Failure) {
    guard !bytes.isEmpty else { throw Failure("empty") }
    if bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) {
      do throws(ImageError) {
        self = .image(try GuestImage(bytes))
      } catch {
        throw Failure(error.description)
      }
      return
    }
    if let kind = Self.unsupportedKind(bytes) { throw Failure(kind) }
    let trace = KVMTrace(text: bytes.span)
    let log = QEMULog.parse(utf8: bytes)
    guard !trace.records.isEmpty || !log.isEmpty else {
      throw Failure(
        "nothing in it is known: no KVM event, no register dump, no message or command line of QEMU, and it is no ELF file"
      )
    }
    self = .text(trace, log, name: name)
  }

  /// What is recognised and cannot be examined, with what to do instead.
  private static func unsupportedKind(_ bytes: [UInt8]) -> String? {
    if bytes.starts(with: [0x17, 0x08, 0x44] + Array("tracing".utf8)) {
      return "a trace.dat; print it (trace-cmd report FILE) and examine the text"
    }
    if bytes.starts(with: Array("PERFILE2".utf8)) {
      return "a perf.data; print it (perf script -i FILE) and examine the text"
    }
    return nil
  }

  /// Adds what the file tells to what is known.
  func add(to scene: inout Scene) {
    switch self {
    case .image(let image): scene.image = image
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
        .kvmNotifyExit:
        return Sourced(.kvm, source)
      case .interrupt, .exceptionCheck, .tripleFault: return Sourced(.tcg, source)
      default: continue
      }
    }
    return log.lastCommandLine.flatMap { $0.accelerators.count == 1 ? $0.accelerators.first : nil }
      .map { Sourced($0, .commandLine) }
  }
}

extension [QEMULogEntry] {
  /// The register dumps of the death: those that follow KVM's last error, or the last one before TCG's triple fault, else
  /// the last.
  fileprivate var dumpsOfDeath: [QEMULogEntry] {
    if let error = lastIndex(where: \.message.isKVMError) {
      let following = self[(error + 1)...].filter(\.message.isDump)
      if !following.isEmpty { return following }
    }
    let end = lastIndex { $0.message == .tripleFault } ?? endIndex
    return self[..<end].last(where: \.message.isDump).map { [$0] } ?? []
  }

  fileprivate var lastCommandLine: QEMUCommandLine? {
    for entry in reversed() {
      if case .commandLine(let recorded) = entry.message { return recorded.commandLine }
    }
    return nil
  }
}

extension QEMUMessage {
  fileprivate var isDump: Bool { if case .registerDump = self { true } else { false } }

  fileprivate var isKVMError: Bool {
    switch self {
    case .kvmInternalError, .kvmEntryFailed, .kvmExceptionExit, .kvmUnknownExit, .kvmUnknownExitReason, .kvmRunFailed,
      .kvmNotifyExit:
      true
    default: false
    }
  }
}
