import Glibc
public import SystemPackage

/// A range of memory: a file mapped for reading, or a buffer that holds what was decompressed.
///
/// This is the only place where a file's bytes are addressed by pointer: everything else sees `bytes`, whose every access is checked against its bounds and which cannot outlive this object.
///
/// A file that another process shortens while it is mapped raises SIGBUS when its lost pages are touched, as for every
/// program that maps files; a recording is to be finished before it is read. Input that is compressed, or comes through
/// a pipe, is read from a copy and has no such limit.
@safe public final class MappedMemory: @unchecked Sendable {
  // Sendable although it holds a pointer: the range never moves; a file's is never written, and a buffer is written
  // only through `withUnsafeMutableBytes` by the one reader that owns it.
  @usableFromInline let start: UnsafeMutableRawPointer
  /// The number of bytes mapped.
  private let mappedCount: Int
  public let byteCount: Int
  /// Whether the bytes are a file's, which the kernel can bring back. Those of a buffer would be lost.
  private let isFile: Bool

  private init(start: UnsafeMutableRawPointer, mappedCount: Int, byteCount: Int, isFile: Bool) {
    unsafe self.start = unsafe start
    self.mappedCount = mappedCount
    self.byteCount = byteCount
    self.isFile = isFile
  }

  deinit { unsafe munmap(start, mappedCount) }

  /// Maps a whole regular file for reading. An empty file gives an empty range.
  public static func mapping(_ file: FileDescriptor) throws(Errno) -> MappedMemory {
    var status = stat()
    guard unsafe fstat(file.rawValue, &status) == 0 else { throw Errno(rawValue: errno) }
    guard let count = Int(exactly: status.st_size), count >= 0 else { throw Errno.fileTooLarge }
    return try map(count, PROT_READ, MAP_PRIVATE, file.rawValue)
  }

  /// A zeroed buffer. Its pages take memory only once they are written.
  package static func buffer(byteCount: Int) throws(Errno) -> MappedMemory {
    try map(byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)
  }

  private static func map(
    _ count: Int, _ protection: Int32, _ flags: Int32, _ descriptor: Int32
  ) throws(Errno) -> MappedMemory {
    guard count >= 0 else { throw Errno.invalidArgument }
    // mmap refuses a length of 0; one inaccessible page stands for the empty range.
    let isEmpty = count == 0
    let mappedCount = max(count, 1)
    let address = unsafe mmap(
      nil, mappedCount, isEmpty ? PROT_NONE : protection, isEmpty ? MAP_PRIVATE | MAP_ANONYMOUS : flags,
      isEmpty ? -1 : descriptor, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else { throw Errno(rawValue: errno) }
    return unsafe MappedMemory(start: address, mappedCount: mappedCount, byteCount: count, isFile: descriptor >= 0)
  }

  @inlinable public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      // The range stays mapped until deinit, which the borrow of self holds off.
      unsafe _overrideLifetime(RawSpan(_unsafeStart: start, byteCount: byteCount), borrowing: self)
    }
  }

  /// Gives the memory to a C decoder to fill. Only for memory made by `buffer(byteCount:)`.
  @inlinable package func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe body(UnsafeMutableRawBufferPointer(start: start, count: byteCount))
  }

  /// Maps the pages of this range of a file at once, which costs less than a fault for every few of them.
  package func populate(_ range: Range<Int>) {
    let pageSize = Int(getpagesize())
    let lower = max(range.lowerBound, 0) / pageSize * pageSize
    let upper = min(range.upperBound, byteCount)
    guard isFile, lower < upper else { return }
    // MADV_POPULATE_READ, which Linux has since 5.14. Where it fails, the pages come one by one as ever.
    unsafe madvise(start + lower, upper - lower, 22)
  }

  /// Releases a range of which all pages were touched, with those that the kernel mapped around the first of them: up to
  /// 64 KiB before it (fault_around_bytes).
  package func release(aroundTouched range: Range<Int>) { release((range.lowerBound - 1 << 16)..<range.upperBound) }

  /// Lets the kernel take back the pages that lie wholly in this range of a mapped file, so that the memory in use does
  /// not grow with the file. They stay in the page cache, and reading them again brings them back.
  package func release(_ range: Range<Int>) {
    let pageSize = Int(getpagesize())
    let lower = (max(range.lowerBound, 0) + pageSize - 1) / pageSize * pageSize
    let upper = min(range.upperBound, byteCount) / pageSize * pageSize
    guard isFile, lower < upper else { return }
    unsafe madvise(start + lower, upper - lower, MADV_DONTNEED)
  }
}
