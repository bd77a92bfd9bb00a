import CLinux
import Glibc
import SystemPackage

/// The guest's RAM as memory that QEMU and this process share, so that it outlives QEMU: isa-debug-exit, for one, calls
/// exit() in QEMU (hw/misc/debugexit.c), and no monitor can be asked after that.
///
/// An anonymous file (memfd) that QEMU gets as an open descriptor; no name in any file system is made.
@safe final class SharedRAM {
  /// The QEMU object's id, which becomes the name of the RAM block in the memory map.
  static let blockName = "inquest-ram"

  /// What QEMU inherits.
  let descriptor: OwnedDescriptor
  let size: Int
  private let base: UnsafeRawPointer

  /// - Parameter size: in bytes, a multiple of the page size.
  init(size: UInt64) throws(Errno) {
    guard let size = Int(exactly: size), size > 0 else { throw .invalidArgument }
    self.size = size
    descriptor = try OwnedDescriptor(checking: unsafe clinux_memfd_create(Self.blockName))
    guard ftruncate(descriptor.descriptor.rawValue, size) == 0 else { throw Errno(rawValue: errno) }
    // QEMU is not trusted: a file that cannot shrink cannot turn a read of the mapping into SIGBUS.
    guard clinux_seal_size(descriptor.descriptor.rawValue) == 0 else { throw Errno(rawValue: errno) }
    let mapping = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, descriptor.descriptor.rawValue, 0)
    guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else { throw Errno(rawValue: errno) }
    unsafe base = UnsafeRawPointer(mapping)
  }

  deinit { unsafe munmap(UnsafeMutableRawPointer(mutating: base), size) }

  /// Fills `places` of the buffer; false, with nothing changed, where the bytes are not all inside.
  ///
  /// The guest must not run: a byte that it changes meanwhile may be read old or new.
  func read(offset: UInt64, into buffer: inout MutableSpan<UInt8>, at places: Range<Int>) -> Bool {
    guard let start = Int(exactly: offset), start <= size, places.count <= size - start else { return false }
    for place in places {
      // In bounds by the guard above; the mapping lives as long as self.
      buffer[place] = unsafe base.load(fromByteOffset: start + (place - places.lowerBound), as: UInt8.self)
    }
    return true
  }
}
