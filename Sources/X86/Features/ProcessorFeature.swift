/// A feature that the processor announces by one bit of a feature word.
///
/// A feature is its bit; all else follows from it (``ProcessorFeature/table``). Names are those of QEMU 10.2
/// (`target/i386/cpu.c: feature_word_info`), which knows those of 7.2 and more; of Linux (`asm/cpufeatures.h`,
/// `asm/vmxfeatures.h` and `kernel/cpu/scattered.c`, 6.1, and a few newer ones); and of the SDM (vol. 2, CPUID; vol. 3,
/// appendix A) or the APM (vol. 3, appendix E).
public struct ProcessorFeature: Sendable {
  public var word: FeatureWord
  var row: Row

  /// What the table says of one bit.
  struct Row: Sendable {
    var bit: UInt8
    /// QEMU's property, then its aliases; empty where QEMU has no name for the bit.
    var qemu: StaticString
    /// Linux's flag in /proc/cpuinfo; empty where it shows none.
    var linux: StaticString
    var manual: StaticString
    var purpose: StaticString
    var enables: EnableBits
    /// The instruction sets that need the feature, by the names that Zydis and Intel's XED give them.
    var instructionSets: StaticString
    /// Which bits of page-table entries or table registers are there only with the feature.
    var pageTables: StaticString

    init(
      _ bit: UInt8, _ qemu: StaticString, _ linux: StaticString, _ manual: StaticString, _ purpose: StaticString,
      enable enables: EnableBits = [], sets instructionSets: StaticString = "", tables pageTables: StaticString = ""
    ) {
      self.bit = bit
      self.qemu = qemu
      self.linux = linux
      self.manual = manual
      self.purpose = purpose
      self.enables = enables
      self.instructionSets = instructionSets
      self.pageTables = pageTables
    }
  }

  public var bit: FeatureBit { FeatureBit(word, Int(row.bit)) }

  /// The property of QEMU's `-cpu`, such as `pdpe1gb`; nil for a bit that QEMU does not name.
  public var qemuName: String? { qemuNames.first }

  /// The property of QEMU's `-cpu` and its aliases, such as `nx` and `xd`.
  public var qemuNames: [String] { Self.words(row.qemu) }

  /// The flag in Linux's /proc/cpuinfo, such as `pdpe1gb`; nil for a bit that it does not show.
  public var linuxName: String? { linuxNames.first }

  /// All flags that Linux sets by the bit: `ibrs` and `ibpb` by one.
  public var linuxNames: [String] { Self.words(row.linux) }

  /// The name in the SDM or the APM.
  public var manualName: String { row.manual.description }

  /// What the feature is for, in a few words.
  public var purpose: String { row.purpose.description }

  /// The control bits that software sets, or clears, before it uses the feature.
  public var enables: EnableBits { row.enables }

  /// The instruction sets that need the feature, by the names that Zydis and Intel's XED give them: `AVX2`.
  public var instructionSets: [String] { Self.words(row.instructionSets) }

  /// What in page tables is there only with the feature, such as `PDPTE.PS`; empty where there is nothing.
  public var pageTables: String { row.pageTables.description }

  /// The name by which to speak of it: QEMU's, else Linux's, else the manual's.
  public var name: String { qemuName ?? linuxName ?? manualName }

  private static func words(_ text: StaticString) -> [String] {
    text.description.split(separator: " ").map { String($0) }
  }
}

/// A feature is its bit; the rest follows from it.
extension ProcessorFeature: Hashable {
  public static func == (a: Self, b: Self) -> Bool { a.bit == b.bit }

  public func hash(into hasher: inout Hasher) { hasher.combine(bit) }
}

extension ProcessorFeature {
  /// Every feature, word by word and in the order of the bits.
  public static let table: [Self] = words.flatMap { word, rows in rows.map { Self(word: word, row: $0) } }

  /// The words that have features.
  public static let featureWords: [FeatureWord] = words.map { $0.0 }

  private static let words: [(FeatureWord, [Row])] = [
    (.cpuid(1, 0, .edx), leaf1EDX), (.cpuid(1, 0, .ecx), leaf1ECX),
    (.cpuid(6, 0, .eax), leaf6EAX), (.cpuid(6, 0, .ecx), leaf6ECX),
    (.cpuid(7, 0, .ebx), leaf7EBX), (.cpuid(7, 0, .ecx), leaf7ECX), (.cpuid(7, 0, .edx), leaf7EDX),
    (.cpuid(7, 1, .eax), leaf7Subleaf1EAX), (.cpuid(7, 1, .ebx), leaf7Subleaf1EBX),
    (.cpuid(7, 1, .edx), leaf7Subleaf1EDX), (.cpuid(7, 2, .edx), leaf7Subleaf2EDX),
    (.cpuid(0xD, 1, .eax), leafDSubleaf1EAX),
    (.cpuid(0xF, 0, .edx), leafFEDX), (.cpuid(0xF, 1, .edx), leafFSubleaf1EDX),
    (.cpuid(0x10, 0, .ebx), leaf10EBX), (.cpuid(0x10, 1, .ecx), leaf10Subleaf1ECX),
    (.cpuid(0x10, 2, .ecx), leaf10Subleaf2ECX),
    (.cpuid(0x12, 0, .eax), leaf12EAX), (.cpuid(0x12, 0, .ebx), leaf12EBX), (.cpuid(0x12, 1, .eax), leaf12Subleaf1EAX),
    (.cpuid(0x14, 0, .ebx), leaf14EBX), (.cpuid(0x14, 0, .ecx), leaf14ECX), (.cpuid(0x24, 0, .ebx), leaf24EBX),
    (.cpuid(0x4000_0001, 0, .eax), kvmFeatures), (.cpuid(0x4000_0001, 0, .edx), kvmHints),
    (.cpuid(0x8000_0001, 0, .edx), extendedEDX), (.cpuid(0x8000_0001, 0, .ecx), extendedECX),
    (.cpuid(0x8000_0007, 0, .ebx), extended7EBX), (.cpuid(0x8000_0007, 0, .edx), extended7EDX),
    (.cpuid(0x8000_0008, 0, .ebx), extended8EBX), (.cpuid(0x8000_000A, 0, .edx), extendedAEDX),
    (.cpuid(0x8000_001F, 0, .eax), extended1FEAX), (.cpuid(0x8000_0021, 0, .eax), extended21EAX),
    (.cpuid(0x8000_0022, 0, .eax), extended22EAX), (.cpuid(0xC000_0001, 0, .edx), centaurEDX),
    (.msr(0x10A), architecturalCapabilities), (.msr(0xCF), coreCapabilities), (.msr(0x345), performanceCapabilities),
    (.msr(0x480), vmxBasic), (.msr(0x485), vmxMiscellaneous), (.msr(0x48B), vmxSecondaryControls),
    (.msr(0x48C), vmxEPTAndVPID), (.msr(0x48D), vmxPinBasedControls), (.msr(0x48E), vmxProcessorBasedControls),
    (.msr(0x48F), vmxExitControls), (.msr(0x490), vmxEntryControls), (.msr(0x491), vmxFunctions),
  ]

  private static let byBit = index { [$0.bit] }
  private static let byQEMUName = index { $0.qemuNames }
  private static let byLinuxName = index { $0.linuxNames }

  private static func index<Key: Hashable>(_ keys: (Self) -> [Key]) -> [Key: [Self]] {
    var index: [Key: [Self]] = [:]
    for feature in table {
      for key in keys(feature) { index[key, default: []].append(feature) }
    }
    return index
  }

  /// The feature that this bit announces; nil where the table knows none.
  public static func at(_ bit: FeatureBit) -> Self? { byBit[bit]?.first }

  /// What QEMU's property of this name, or alias, stands for: as a rule one bit, for `kvmclock` two.
  public static func named(inQEMU name: String) -> [Self] { byQEMUName[name] ?? [] }

  /// What Linux's flag of this name stands for. Where there are several, as for `ibpb`, the vendor decides.
  public static func named(inLinux name: String) -> [Self] { byLinuxName[name] ?? [] }

  /// What a person may mean by `name`: QEMU's name, Linux's or the manual's, in whatever case, with dashes or underscores.
  public static func named(_ name: String) -> [Self] {
    let plain = plain(name)
    let spellings: [(Self) -> [String]] = [{ $0.qemuNames }, { $0.linuxNames }, { [$0.manualName] }]
    for spellings in spellings {
      let found = table.filter { spellings($0).contains { Self.plain($0) == plain } }
      if !found.isEmpty { return found }
    }
    return []
  }

  private static func plain(_ name: String) -> String {
    String(name.lowercased().map { $0 == "_" ? "-" : $0 })
  }

  /// 1 GiB pages.
  public static let pdpe1gb = Self(word: .cpuid(0x8000_0001, 0, .edx), row: pdpe1gbRow)
  /// Execute disable: EFER.NXE may be set.
  public static let nx = Self(word: .cpuid(0x8000_0001, 0, .edx), row: nxRow)
  /// Long mode.
  public static let lm = Self(word: .cpuid(0x8000_0001, 0, .edx), row: lmRow)
  /// 57-bit linear addresses: CR4.LA57 may be set.
  public static let la57 = Self(word: .cpuid(7, 0, .ecx), row: la57Row)
  /// 36-bit physical addresses with 4 MiB pages.
  public static let pse36 = Self(word: .cpuid(1, 0, .edx), row: pse36Row)
}
