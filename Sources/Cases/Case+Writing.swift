import Capture
import Files
import Glibc
import GuestMemory
import Investigation
import QEMU
public import SystemPackage
import Traces
public import X86

extension Case {
  /// Writes the case as a folder, all of it or nothing.
  ///
  /// - Parameters:
  ///   - pages: The pages of the guest's memory to keep; nil for all of its RAM and ROM.
  ///   - redaction: What is replaced in every text, and in the image; nil to leave all as it is.
  public func write(
    to path: FilePath, pages: [PhysicalAddress]?, redaction: Redaction? = nil
  ) throws(CaseError) {
    let folder = try UnfinishedFolder(for: path)
    var record = self
    record.isRedacted = redaction != nil
    record.image?.contents = image?.contents.map { redaction?.redactedInPlace($0) ?? $0 }
    func write(_ bytes: [UInt8], to file: CaseFormat.File) throws(CaseError) {
      let isChanged = file.isText && redaction != nil
      try folder.write(isChanged ? redaction?.redacted(bytes) ?? bytes : bytes, to: file)
    }
    try write(CaseDocument(record).json, to: .document)
    try write(Array(verdict.utf8), to: .verdict)
    if let registers = scene.registers { try write(Array(registers.utf8), to: .registers) }
    if let run = scene.secondRun { try write(Array(run.text.utf8), to: .registersOfSecondRun) }
    if let map = scene.memory.map { try write(Array(map.monitorText.utf8), to: .memoryMap) }
    if !scene.standardError.isEmpty { try write(scene.standardError, to: .standardError) }
    if !scene.log.isEmpty { try write(scene.log, to: .log) }
    if !scene.interruptLog.isEmpty { try write(scene.interruptLog, to: .interruptLog) }
    if !scene.samples.isEmpty { try write(SampleDocument.json(of: scene.samples), to: .samples) }
    if !scene.textScreen.isEmpty {
      try write(Array((scene.textScreen.joined(separator: "\n") + "\n").utf8), to: .textScreen)
    }
    if let contents = record.image?.contents { try write(contents, to: .image) }
    try folder.write(scene.recording, kernelRelease: host.kernelRelease?.value)
    try folder.write(scene.memory, pages)
    try folder.finish()
  }
}

extension UnfinishedFolder {
  fileprivate func write(_ bytes: [UInt8], to file: CaseFormat.File) throws(CaseError) {
    try withFile(file) { descriptor in _ = try descriptor.writeAll(bytes) }
  }

  fileprivate func write(_ recording: KVMRecording, kernelRelease: String?) throws(CaseError) {
    guard case .recorded(let recording) = recording, !recording.samples.isEmpty else { return }
    do throws(TraceFileError) {
      try recording.write(to: path.appending(CaseFormat.File.trace.rawValue), kernelRelease: kernelRelease)
    } catch {
      throw .malformed(file: CaseFormat.File.trace.rawValue, reason: error.description)
    }
  }

  /// Writes the memory, unless there is none to be had.
  fileprivate func write(_ memory: CapturedMemory, _ pages: [PhysicalAddress]?) throws(CaseError) {
    guard let map = memory.map else { return }
    var count = 0
    try withFile(.memory) { descriptor in
      var core = ELFCoreWriter(descriptor)
      if let pages {
        for page in pages { try core.append(page, count: UInt64(SparseMemory.pageSize), of: memory) }
      } else {
        for range in map.ranges where range.kind != .device {
          // Whole pages only: the rest of a page may be a device's.
          let first = range.first.rawValue &+ 0xFFF & ~0xFFF
          let end = range.last.rawValue &+ 1 & ~0xFFF
          if first < end { try core.append(PhysicalAddress(first), count: end - first, of: memory) }
        }
      }
      count = try core.finish()
    }
    // A core without memory is none.
    if count == 0 { unsafe unlink(path.appending(CaseFormat.File.memory.rawValue).string) }
  }

  private func withFile(_ file: CaseFormat.File, _ body: (FileDescriptor) throws -> Void) throws(CaseError) {
    do {
      let descriptor = try FileDescriptor.open(
        path.appending(file.rawValue), .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
        permissions: .ownerReadWrite)
      try descriptor.closeAfter { try body(descriptor) }
    } catch {
      throw .system(doing: "writing \(file.rawValue)", errno: (error as? Errno ?? .ioError).rawValue)
    }
  }
}
