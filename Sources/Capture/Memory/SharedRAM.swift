import CLinux
import Glibc
import QEMU
import SystemPackage

/// The guest's RAM as memory that QEMU and this process share, so that it outlives QEMU: isa-debug-exit, for one, calls
/// exit() in QEMU (hw/misc/debugexit.c), and no monitor can be asked after that.
///
/// An anonymous file (memfd) that QEMU gets as an open descriptor; no name in any file system is made.
final class SharedRAM {
  /// The QEMU object's id, which becomes the name of the RAM block in the memory map.
  static let blockName = "inquest-ram"

  /// What QEMU inherits.
  let descriptor: OwnedDescriptor
  let mapping: RAMMapping
  var size: Int { mapping.size }

  /// - Parameter size: in bytes, a multiple of the page size.
  init(size: UInt64) throws(Errno) {
    guard let size = Int(exactly: size), size > 0 else { throw .invalidArgument }
    descriptor = try OwnedDescriptor(checking: unsafe clinux_memfd_create(Self.blockName))
    guard ftruncate(descriptor.descriptor.rawValue, size) == 0 else { throw Errno(rawValue: errno) }
    guard clinux_seal_size(descriptor.descriptor.rawValue) == 0 else { throw Errno(rawValue: errno) }
    mapping = try RAMMapping(descriptor.descriptor, size: size)
  }

  /// The part of RAM that a range of the memory map shows; nil for a range of another block.
  func slice(_ range: MemoryMap.Range) -> RAMSlice? {
    range.name == Self.blockName ? RAMSlice(mapping: mapping, offset: range.offset) : nil
  }
}
