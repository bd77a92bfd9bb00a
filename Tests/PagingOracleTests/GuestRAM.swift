import CLinux
import Glibc
import X86

/// A machine's RAM, mapped here: guest-physical 0 up to its size.
///
/// The mapping lives as long as this does, and each access to it is bounds-checked in a debug build and by `read`.
@safe final class GuestRAM: PhysicalMemory {
  let size: Int
  /// An anonymous file, for those who map it too.
  let descriptor: Int32
  private let bytes: UnsafeMutableRawBufferPointer

  init?(pages: Int) {
    size = pages << 12
    descriptor = unsafe clinux_memfd_create("oracle-ram")
    guard descriptor >= 0 else { return nil }
    let mapping = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard ftruncate(descriptor, size) == 0, clinux_seal_size(descriptor) == 0, let mapping = unsafe mapping,
      unsafe mapping != MAP_FAILED
    else {
      close(descriptor)
      return nil
    }
    unsafe bytes = UnsafeMutableRawBufferPointer(start: mapping, count: size)
  }

  deinit {
    unsafe munmap(bytes.baseAddress, size)
    close(descriptor)
  }

  var hostAddress: UInt64 { unsafe UInt64(UInt(bitPattern: bytes.baseAddress)) }

  /// The 64-bit word at an address within.
  subscript(address: Int) -> UInt64 {
    get { unsafe bytes.loadUnaligned(fromByteOffset: address, as: UInt64.self) }
    set { unsafe bytes.storeBytes(of: newValue, toByteOffset: address, as: UInt64.self) }
  }

  /// Writes a number of another size at an address within.
  func store<Word: FixedWidthInteger & BitwiseCopyable>(_ word: Word, at address: Int) {
    unsafe bytes.storeBytes(of: word, toByteOffset: address, as: Word.self)
  }

  func clear(page: Int) {
    for offset in stride(from: 0, to: 4096, by: 8) { self[page << 12 + offset] = 0 }
  }

  func store(_ code: [UInt8], at address: Int) {
    for (offset, byte) in code.enumerated() { store(byte, at: address + offset) }
  }

  func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    guard address.rawValue < UInt64(size), UInt64(buffer.count) <= UInt64(size) - address.rawValue else {
      throw UnavailableMemory(address: address, reason: .unbacked)
    }
    for offset in buffer.indices { buffer[offset] = unsafe bytes[Int(address.rawValue) + offset] }
  }
}
