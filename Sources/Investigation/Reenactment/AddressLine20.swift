import X86

/// Memory as a processor sees it that has address line 20 masked: bit 20 of each physical address is 0 (APM vol. 2, 1.2; TCG: target/i386/helper.c,
/// x86_cpu_set_a20, 7.2).
struct MemoryWithoutLine20<Base: PhysicalMemory>: PhysicalMemory {
  var base: Base

  func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    try base.read(PhysicalAddress(address.rawValue & ~(1 << 20)), into: &buffer)
  }
}

extension PhysicalMemory {
  func withoutLine20() -> any PhysicalMemory { MemoryWithoutLine20(base: self) }
}
