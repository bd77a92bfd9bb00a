import Capture
import Files
import Glibc
import GuestMemory
import QEMU
public import SystemPackage
import Traces

extension Case {
  /// Whether there is a case at `path`: a folder with a `case.json`.
  public static func isCase(at path: FilePath) -> Bool {
    unsafe access(path.appending(CaseFormat.File.document.rawValue).string, F_OK) == 0
  }

  /// Reads the case in a folder. What it holds is not trusted.
  public init(at path: FilePath) throws(CaseError) {
    let folder = try ReadFolder(path)
    guard let json = try folder.bytes(of: .document) else {
      throw .malformed(file: CaseFormat.File.document.rawValue, reason: "it is missing; this folder is no case")
    }
    let document = try CaseDocument(json: json)
    let map = try folder.text(of: .memoryMap).flatMap { MemoryMap(monitorText: $0) }
    var scene = GuestScene(
      ending: try document.ending.ending, moment: .now, identity: try document.qemu?.identity,
      registers: try folder.text(of: .registers), log: try folder.bytes(of: .log) ?? [],
      logsTripleFaults: document.logsTripleFaults, interruptLog: try folder.bytes(of: .interruptLog) ?? [],
      samples: try folder.bytes(of: .samples).map(SampleDocument.samples) ?? [],
      standardError: try folder.bytes(of: .standardError) ?? [],
      textScreen: try folder.lines(of: .textScreen),
      memory: try folder.memory(map), recording: try folder.recording(document.trace),
      shutdownCause: document.shutdownCause.map(ShutdownCause.init(rawValue:)),
      askedOver: document.askedOver.flatMap(AttachedGuest.Door.init)?.rawValue ?? GuestScene.usualDoor)
    scene.kernelFile = try document.kernelFile?.file
    scene.secondRun = try folder.text(of: .registersOfSecondRun).map { text in
      SecondRunRegisters(text: text, wentOn: document.secondRunWentOn ?? false)
    }
    let contents = try folder.bytes(of: .image)
    self.init(
      inquestVersion: document.inquest, created: document.created,
      commandLine: QEMUCommandLine(
        program: document.commandLine.program, arguments: document.commandLine.arguments),
      scene: scene, host: try document.host.facts, kvmParameters: document.host.kvmParameters,
      processorVendor: document.host.processorVendor, memory: document.memory,
      image: document.image.map { Image(name: $0.name, identity: $0.identity, contents: contents) },
      verdict: try folder.text(of: .verdict) ?? "")
    isRedacted = document.isRedacted
  }
}

/// A case folder that is read. Files are opened relative to the folder, never through a link, and read up to a limit.
private final class ReadFolder {
  private let descriptor: FileDescriptor

  init(_ path: FilePath) throws(CaseError) {
    do {
      descriptor = try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
    } catch {
      throw .system(doing: "opening \(path)", errno: (error as? Errno ?? .ioError).rawValue)
    }
  }

  deinit { try? descriptor.close() }

  /// Opens a file of the case; nil where there is none.
  private func open(_ file: CaseFormat.File) throws(CaseError) -> FileDescriptor? {
    // A FIFO would make a blocking open wait for ever. The name is a string of this process's own.
    let opened = unsafe openat(descriptor.rawValue, file.rawValue, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard opened >= 0 else {
      switch errno {
      case ENOENT: return nil
      case ELOOP: throw .notRegular(file: file.rawValue)
      default: throw .system(doing: "opening \(file.rawValue)", errno: errno)
      }
    }
    let result = FileDescriptor(rawValue: opened)
    do throws(CaseError) {
      try Self.check(result, file)
    } catch {
      try? result.close()
      throw error
    }
    return result
  }

  private static func check(_ descriptor: FileDescriptor, _ file: CaseFormat.File) throws(CaseError) {
    var status = stat()
    // fstat fills one structure.
    guard unsafe fstat(descriptor.rawValue, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw .notRegular(file: file.rawValue)
    }
    let size = Int(status.st_size)
    guard size <= file.limit else { throw .tooLarge(file: file.rawValue, size: size, limit: file.limit) }
  }

  private func mapping(of file: CaseFormat.File) throws(CaseError) -> MappedMemory? {
    guard let opened = try open(file) else { return nil }
    defer { try? opened.close() }
    do throws(Errno) {
      return try MappedMemory.mapping(opened)
    } catch {
      throw .system(doing: "reading \(file.rawValue)", errno: error.rawValue)
    }
  }

  func bytes(of file: CaseFormat.File) throws(CaseError) -> [UInt8]? {
    guard let mapping = try mapping(of: file) else { return nil }
    return mapping.bytes.copied
  }

  func text(of file: CaseFormat.File) throws(CaseError) -> String? {
    try bytes(of: file).map { String(decoding: $0, as: UTF8.self) }
  }

  /// What is no printable ASCII is a blank, as on the screen itself.
  func lines(of file: CaseFormat.File) throws(CaseError) -> [String] {
    // The last line ends with a newline, too.
    let lines = try (bytes(of: file) ?? []).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    return lines.dropLast().map { line in
      String(decoding: line.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: " ") }, as: UTF8.self)
    }
  }

  func memory(_ map: MemoryMap?) throws(CaseError) -> CapturedMemory {
    guard let mapping = try mapping(of: .memory) else { return CapturedMemory(map: map, keptIn: SparseMemory()) }
    do throws(FileError) {
      return CapturedMemory(map: map, keptIn: try MemoryDump(FileInput(memory: mapping, problem: nil)).memory)
    } catch {
      throw .malformed(file: CaseFormat.File.memory.rawValue, reason: error.description)
    }
  }

  /// - Parameter document: What was counted when the trace was recorded.
  func recording(_ document: CaseDocument.TraceDocument) throws(CaseError) -> KVMRecording {
    guard let mapping = try mapping(of: .trace) else {
      guard document.state == "refused", let reason = document.reason else { return .notWanted }
      return .refused(.told(lack: reason, remedy: document.remedy))
    }
    do throws(TraceFileError) {
      let trace = try TraceFile(FileInput(memory: mapping, problem: nil))
      var recording = FlightRecording(trace, limit: CaseFormat.mostEvents)
      recording.account.met = document.met ?? recording.account.met
      recording.account.dropped = document.dropped ?? 0
      recording.account.lostRegisters = document.registersLack.map { .told(lack: $0, remedy: document.registersRemedy) }
      recording.account.hasUnplacedLosses = document.hasUnplacedLosses ?? (recording.account.dropped > 0)
      return .recorded(recording)
    } catch {
      throw .malformed(file: CaseFormat.File.trace.rawValue, reason: error.description)
    }
  }
}
