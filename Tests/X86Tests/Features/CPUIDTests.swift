import Testing
import X86

@Suite("CPUID")
struct CPUIDTests {
  static func entry(
    _ leaf: UInt32, _ subleaf: UInt32 = 0, eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0
  ) -> CPUID.Entry {
    CPUID.Entry(leaf: leaf, subleaf: subleaf, eax: eax, ebx: ebx, ecx: ecx, edx: edx)
  }

  @Test("Features are found in their bits")
  func features() {
    for (feature, entry) in [
      (ProcessorFeature.pdpe1gb, Self.entry(0x8000_0001, edx: 1 << 26)), (.nx, Self.entry(0x8000_0001, edx: 1 << 20)),
      (.la57, Self.entry(7, ecx: 1 << 16)),
    ] {
      var inverse = entry
      (inverse.eax, inverse.ebx, inverse.ecx, inverse.edx) = (~entry.eax, ~entry.ebx, ~entry.ecx, ~entry.edx)
      #expect(CPUID(entries: [entry], isComplete: false).has(feature) == true)
      #expect(CPUID(entries: [inverse], isComplete: false).has(feature) == false)
      #expect(CPUID(entries: [], isComplete: false).has(feature) == nil)
      #expect(CPUID(entries: [], isComplete: true).has(feature) == false)
    }
    #expect(CPUID(entries: [Self.entry(7, 1, ecx: 1 << 16)], isComplete: false).has(.la57) == nil)
  }

  @Test("A leaf above the highest is not there, whatever else is known")
  func highestLeaf() {
    let cpuid = CPUID(
      entries: [
        Self.entry(0, eax: 6), Self.entry(7, ecx: ~0), Self.entry(0x8000_0000, eax: 0x8000_0000),
      ], isComplete: false)
    #expect(cpuid.has(.la57) == false)
    #expect(cpuid.has(.pdpe1gb) == false)
    #expect(cpuid.maximumPhysicalAddressBits == 36)
  }

  @Test(
    "MAXPHYADDR",
    arguments: [
      ([entry(0x8000_0008, eax: 0x3028)], false, 40), ([entry(0x8000_0008, eax: 0x3028)], true, 40), ([], true, 36),
      ([], false, nil), ([entry(0x8000_0000, eax: 0x8000_0007)], false, 36),
      ([entry(0x8000_0000, eax: 0x8000_0008)], false, nil), ([entry(0x8000_0000, eax: 0x8000_0008)], true, 36),
      ([entry(0x8000_0000, eax: 0x8000_0007), entry(0x8000_0008, eax: 0x3028)], true, 36),
    ] as [([CPUID.Entry], Bool, Int?)])
  func maximumPhysicalAddressBits(entries: [CPUID.Entry], isComplete: Bool, expected: Int?) {
    #expect(CPUID(entries: entries, isComplete: isComplete).maximumPhysicalAddressBits == expected)
  }

  @Test(
    "The vendors that are AMD's kin",
    arguments: [
      ("AuthenticAMD", true), ("HygonGenuine", true), ("AMDisbetter!", true), ("GenuineIntel", false),
      ("CentaurHauls", false),
    ])
  func vendor(name: String, isAMD: Bool) {
    let words = stride(from: 0, to: 12, by: 4).map { start in
      Array(name.utf8)[start..<start + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
    let leaf = Self.entry(0, ebx: words[0], ecx: words[2], edx: words[1])
    #expect(CPUID(entries: [leaf], isComplete: false).isAMD == isAMD)
    #expect(CPUID(entries: [], isComplete: false).isAMD == nil)
    #expect(CPUID(entries: [], isComplete: true).isAMD == false)
  }

  @Test("The paging rules of a CPUID")
  func rules() {
    let cpuid = CPUID(
      entries: [Self.entry(0x8000_0001, edx: 1 << 20), Self.entry(0x8000_0008, eax: 0x3027)], isComplete: false)
    #expect(
      PagingRules(cpuid: cpuid, efer: .executeDisableEnable)
        == PagingRules(hasGiBPages: false, maximumPhysicalAddressBits: 39, executeDisableEnabled: true, isAMD: nil))
    #expect(PagingRules(cpuid: CPUID(entries: [], isComplete: false), efer: nil) == PagingRules())
  }

  @Test("the hypervisor's leaves are no leaf above the processor's highest")
  func hypervisorLeaves() {
    let cpuid = CPUID(
      entries: [CPUID.Entry(leaf: 0, subleaf: 0, eax: 0xD, ebx: 0, ecx: 0, edx: 0)], isComplete: false)
    #expect(cpuid[FeatureWord.cpuid(0x4000_0001, 0, .eax)] == nil)
    #expect(cpuid[FeatureWord.cpuid(0x14, 0, .ebx)] == 0)
  }
}
