import Glibc
import SystemPackage

/// A part of a file that QEMU has for RAM, mapped for reading.
@safe final class RAMMapping {
  let size: Int
  private let base: UnsafeRawPointer

  /// - Parameters:
  ///   - file: a file that cannot shrink, so that QEMU, which is not trusted, cannot turn a read of the mapping into
  ///     SIGBUS.
  ///   - offset: where in the file, a multiple of the page size.
  ///   - size: in bytes, a multiple of the page size.
  init(_ file: FileDescriptor, offset: Int = 0, size: Int) throws(Errno) {
    guard size > 0, offset >= 0 else { throw .invalidArgument }
    self.size = size
    let mapping = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, file.rawValue, offset)
    guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else { throw Errno(rawValue: errno) }
    unsafe base = UnsafeRawPointer(mapping)
  }

  deinit { unsafe munmap(UnsafeMutableRawPointer(mutating: base), size) }

  /// Fills `places` of the buffer; false, with nothing changed, where the bytes are not all inside.
  ///
  /// What a running guest changes meanwhile may be read old or new.
  func read(offset: UInt64, into buffer: inout MutableSpan<UInt8>, at places: Range<Int>) -> Bool {
    guard let start = Int(exactly: offset), start <= size, places.count <= size - start,
      places.lowerBound >= 0, places.upperBound <= buffer.count
    else { return false }
    // In bounds on both sides by the guard above; the mapping lives as long as self.
    unsafe buffer.withUnsafeMutableBytes { bytes in
      guard let first = bytes.baseAddress else { return }
      unsafe (first + places.lowerBound).copyMemory(from: base + start, byteCount: places.count)
    }
    return true
  }
}
