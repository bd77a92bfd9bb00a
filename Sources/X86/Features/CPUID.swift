/// What CPUID returns on one processor, as far as it is known.
public struct CPUID: Hashable, Sendable {
  /// What one leaf and subleaf return.
  public struct Entry: Hashable, Sendable {
    public var leaf: UInt32
    /// 0 for a leaf that has no subleaves.
    public var subleaf: UInt32
    public var eax: UInt32
    public var ebx: UInt32
    public var ecx: UInt32
    public var edx: UInt32

    public init(leaf: UInt32, subleaf: UInt32 = 0, eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32) {
      self.leaf = leaf
      self.subleaf = subleaf
      self.eax = eax
      self.ebx = ebx
      self.ecx = ecx
      self.edx = edx
    }

    public subscript(register: CPUIDRegister) -> UInt32 {
      switch register {
      case .eax: eax
      case .ebx: ebx
      case .ecx: ecx
      case .edx: edx
      }
    }
  }

  /// Of two entries for the same leaf and subleaf, the first counts.
  public var entries: [Entry]
  /// Whether a leaf that has no entry is one that the processor does not have.
  ///
  /// True of what KVM was given for a vCPU; false of the leaves that a trace happened to catch.
  public var isComplete: Bool

  public init(entries: [Entry], isComplete: Bool) {
    self.entries = entries
    self.isComplete = isComplete
  }

  public subscript(leaf leaf: UInt32, subleaf subleaf: UInt32 = 0) -> Entry? {
    entries.first { $0.leaf == leaf && $0.subleaf == subleaf }
  }

  /// The field's value; 0 where the processor does not have the leaf; nil where that is not known.
  public subscript(field: CPUIDField) -> UInt32? {
    guard !lacks(field.leaf) else { return 0 }
    guard let entry = self[leaf: field.leaf, subleaf: field.subleaf] else { return isComplete ? 0 : nil }
    return entry[field.register] >> field.lowestBit & ~0 >> (32 - field.width)
  }

  /// What the processor announces in the word; nil where that is not known, as for every MSR.
  public subscript(word: FeatureWord) -> UInt32? {
    guard case .cpuid(let leaf, let subleaf, let register) = word else { return nil }
    return self[CPUIDField(leaf: leaf, subleaf: subleaf, register: register, lowestBit: 0, width: 32)]
  }

  /// Whether the processor announces the feature; nil where that is not known.
  public func has(_ feature: ProcessorFeature) -> Bool? { has(feature.bit) }

  /// Whether the processor announces what the bit stands for; nil where that is not known.
  public func has(_ bit: FeatureBit) -> Bool? { self[bit.word].map { UInt64($0) & bit.mask != 0 } }

  /// Whether the highest leaf of this one's range (leaf 0 or 0x80000000, EAX) is known and lies below it.
  private func lacks(_ leaf: UInt32) -> Bool {
    // The hypervisor's leaves, from 40000000H on, are no part of the processor's ranges, and may be several hypervisors'.
    guard leaf & 0xC000_0000 != 0x4000_0000, let highest = self[leaf: leaf & 0x8000_0000]?.eax else { return false }
    return leaf > highest
  }

  /// MAXPHYADDR: CPUID.80000008H:EAX[7:0], or 36 for a processor without that leaf; nil where that is not known.
  ///
  /// As KVM has it (`cpuid.c: cpuid_query_maxphyaddr`, 6.19).
  public var maximumPhysicalAddressBits: Int? {
    let field = CPUIDField.maximumPhysicalAddressBits
    if !lacks(field.leaf), let entry = self[leaf: field.leaf] { return Int(entry.eax & 0xFF) }
    return lacks(field.leaf) || isComplete ? 36 : nil
  }

  /// The vendor of leaf 0, such as `GenuineIntel`; nil where leaf 0 is not known. Bytes that are no ASCII are left out.
  public var vendor: String? {
    guard let leaf = self[leaf: 0] else { return nil }
    var vendor = ""
    for register in [leaf.ebx, leaf.edx, leaf.ecx] {
      for shift in stride(from: UInt32(0), to: 32, by: 8) {
        let byte = UInt8(truncatingIfNeeded: register >> shift)
        if byte > 0, byte < 0x80 { vendor.unicodeScalars.append(Unicode.Scalar(byte)) }
      }
    }
    return vendor
  }

  /// Whether the vendor of leaf 0 is AMD or Hygon; nil where leaf 0 is not known.
  ///
  /// `AuthenticAMD`, `AMDisbetter!` and `HygonGenuine`, as in `cpuid.c: guest_cpuid_is_amd_or_hygon`; a complete set
  /// without leaf 0 is neither.
  public var isAMD: Bool? {
    guard let vendor else { return isComplete ? false : nil }
    return ["AuthenticAMD", "AMDisbetter!", "HygonGenuine"].contains(vendor)
  }
}
