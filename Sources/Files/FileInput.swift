import Glibc
public import SystemPackage

/// The bytes of an input file, ready to be addressed at random.
///
/// A regular file that is not compressed is mapped. What is compressed as a whole (gzip, xz or zstd) or comes through a
/// pipe is first copied, decompressed, into a temporary file that has no name and goes with this process; then that is
/// mapped. So memory stays bounded by two small buffers, whatever the size.
public struct FileInput: Sendable {
  public let memory: MappedMemory
  /// What was wrong with the input's outer form; what could be read of it is in `memory` all the same.
  public let problem: FileError?

  /// Input that is in memory already.
  package init(memory: MappedMemory, problem: FileError?) {
    self.memory = memory
    self.problem = problem
  }

  /// Opens a file; `-` is standard input. What an error says does not name it.
  public init(_ path: FilePath) throws(FileError) {
    if path.string == "-" {
      try self.init(FileDescriptor.standardInput)
      return
    }
    let file: FileDescriptor
    do {
      file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec])
    } catch {
      throw FileError("\(error)")
    }
    defer { try? file.close() }
    try self.init(file)
  }

  private init(_ file: FileDescriptor) throws(FileError) {
    var status = stat()
    guard unsafe fstat(file.rawValue, &status) == 0 else {
      throw FileError("\(Errno(rawValue: errno))")
    }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw FileError(
        "a directory, as perf record --threads makes; record without --threads to get a file")
    }
    var problem: FileError?
    var memory: MappedMemory
    do {
      memory =
        status.st_mode & S_IFMT == S_IFREG
        ? try MappedMemory.mapping(file) : try MappedMemory.mapping(TemporaryFile.copy(of: file))
      // A file may be compressed twice over; deeper nesting is nobody's practice.
      for _ in 0..<2 {
        guard problem == nil, let compression = FileCompression(memory.bytes) else { break }
        let (plain, damage) = try TemporaryFile.decompressed(memory, compression)
        problem = damage
        memory = try MappedMemory.mapping(plain)
      }
    } catch let error as FileError {
      throw error
    } catch {
      throw FileError("\(error)")
    }
    self.memory = memory
    self.problem = problem
  }
}
