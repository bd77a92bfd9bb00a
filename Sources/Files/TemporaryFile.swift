import Glibc
package import SystemPackage

/// Files without a name that hold what cannot be mapped as it is.
package enum TemporaryFile {
  private static let pieceSize = 1 << 18
  /// O_TMPFILE, which glibc shows only to GNU source; some file systems lack it.
  private static let openNameless: CInt = 0o20_000_000 | O_DIRECTORY

  /// A new file, already unlinked, in the directory for large temporary files.
  package static func make() throws(FileError) -> FileDescriptor {
    let directory = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/var/tmp"
    // Never has a name, so that nothing is left where a signal ends this process in between.
    let nameless = unsafe open(directory, openNameless | O_RDWR | O_CLOEXEC, 0o600)
    if nameless >= 0 { return FileDescriptor(rawValue: nameless) }
    var template = Array("\(directory)/inquest-XXXXXX".utf8CString)
    let descriptor = unsafe template.withUnsafeMutableBufferPointer { template -> Int32 in
      guard let name = template.baseAddress else { return -1 }
      let descriptor = unsafe mkstemp(name)
      if descriptor >= 0 {
        unsafe unlink(name)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      }
      return descriptor
    }
    guard descriptor >= 0 else {
      throw FileError(
        "cannot make a temporary file in \(directory): \(Errno(rawValue: errno)); set TMPDIR to a directory with room")
    }
    return FileDescriptor(rawValue: descriptor)
  }

  /// Copies everything that can be read from a pipe or the like.
  static func copy(of source: FileDescriptor) throws(FileError) -> FileDescriptor {
    let file = try make()
    let piece = try buffer()
    do {
      while true {
        let count = try unsafe piece.withUnsafeMutableBytes { try unsafe source.read(into: $0) }
        if count == 0 { return file }
        try write(piece, count, to: file)
      }
    } catch let error as FileError {
      throw error
    } catch {
      throw FileError("cannot read: \(error)")
    }
  }

  /// Decompresses a whole file. What was decompressed before damage was met is kept, and the damage returned.
  static func decompressed(
    _ source: MappedMemory, _ compression: FileCompression
  ) throws(FileError) -> (FileDescriptor, damage: FileError?) {
    let file = try make()
    let piece = try buffer()
    let decoder = try compression.makeDecoder()
    var offset = 0
    var isComplete = false
    // A full buffer means that there may be more output than input.
    var isFull = false
    while offset < source.byteCount || isFull {
      let step: DecodingStep
      do {
        let input = source.bytes.extracting(offset..<min(offset + pieceSize, source.byteCount))
        step = try decoder.decode(input, into: piece, at: 0)
      } catch {
        // Padding, or anything else, after complete data is not part of it (gzip(1) ignores it, too).
        return (file, isComplete ? nil : FileError(error.what, at: offset))
      }
      if step.produced > 0 { try write(piece, step.produced, to: file) }
      source.release(0..<offset)
      offset += step.consumed
      isComplete = step.isComplete
      isFull = step.produced == pieceSize
      if step.consumed == 0, step.produced == 0 { break }
    }
    return (file, isComplete ? nil : FileError("the compressed file ends early", at: offset))
  }

  package static func write(_ memory: MappedMemory, _ count: Int, to file: FileDescriptor) throws(FileError) {
    do {
      let bytes = memory.bytes.extracting(0..<count)
      _ = try unsafe bytes.withUnsafeBytes { try unsafe file.writeAll($0) }
    } catch {
      throw FileError("cannot write a temporary file: \(error); set TMPDIR to a directory with more room")
    }
  }

  private static func buffer() throws(FileError) -> MappedMemory {
    do { return try MappedMemory.buffer(byteCount: pieceSize) } catch { throw FileError("no memory: \(error)") }
  }
}
