import CLinux
public import X86

extension CPUID {
  /// What the CPUID instruction says on this machine, of the processor that runs the calling thread.
  ///
  /// A host that is itself a guest sees what its hypervisor shows it.
  public static func ofThisProcessor() -> CPUID {
    var entries: [Entry] = []
    for base in [0, 0x4000_0000, 0x8000_0000] as [UInt32] {
      let first = ask(base)
      // A range that is not there answers with another one's leaf.
      guard base == 0 || first.eax >> 16 == base >> 16 else { continue }
      for leaf in base...min(first.eax, base + 0xFF) { entries += subleaves(of: leaf) }
    }
    return CPUID(entries: entries, isComplete: true)
  }

  private static func subleaves(of leaf: UInt32) -> [Entry] {
    let first = ask(leaf)
    switch leaf {
    case 7, 0x14, 0x1D: return [first] + (0..<min(first.eax, 31)).map { ask(leaf, $0 + 1) }
    case 4, 0xB, 0xF, 0x10, 0x12, 0x1E, 0x1F, 0x24, 0x8000_001D, 0x8000_0020: return (0..<8).map { ask(leaf, $0) }
    case 0xD: return (0..<64).map { ask(leaf, $0) }
    default: return [first]
    }
  }

  private static func ask(_ leaf: UInt32, _ subleaf: UInt32 = 0) -> Entry {
    var registers: [UInt32] = [0, 0, 0, 0]
    // The call fills the four elements.
    unsafe clinux_cpuid(leaf, subleaf, &registers)
    return Entry(
      leaf: leaf, subleaf: subleaf, eax: registers[0], ebx: registers[1], ecx: registers[2], edx: registers[3])
  }
}
