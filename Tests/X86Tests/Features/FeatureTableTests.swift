import Testing
import X86

@Suite("The feature table")
struct FeatureTableTests {
  @Test("each bit stands there once, and within its word")
  func bits() {
    let bits = ProcessorFeature.table.map(\.bit)
    #expect(Set(bits).count == bits.count)
    #expect(bits.allSatisfy { (0..<$0.word.width).contains($0.bit) })
    #expect(ProcessorFeature.table.allSatisfy { ProcessorFeature.at($0.bit) == $0 })
  }

  @Test("each row has a name and says what the feature is for")
  func rows() {
    for feature in ProcessorFeature.table {
      #expect(!feature.name.isEmpty && !feature.manualName.isEmpty && !feature.purpose.isEmpty, "\(feature.bit)")
      #expect(!feature.qemuNames.contains { $0.contains(where: \.isWhitespace) })
    }
  }

  @Test("a name of QEMU's stands for bits of one word, and an alias for no other feature")
  func names() {
    for feature in ProcessorFeature.table {
      for name in feature.qemuNames {
        #expect(Set(ProcessorFeature.named(inQEMU: name).map(\.word)) == [feature.word], "\(name)")
      }
    }
  }

  @Test(
    "the names that a person may use",
    arguments: [
      ("pdpe1gb", "CPUID.80000001H:EDX[26]"), ("Page1GB", "CPUID.80000001H:EDX[26]"), ("xd", "CPUID.80000001H:EDX[20]"),
      ("SSE3", "CPUID.01H:ECX[0]"), ("sse4_2", "CPUID.01H:ECX[20]"), ("AVX512_VNNI", "CPUID.07H:ECX[11]"),
      ("tsc_deadline_timer", "CPUID.01H:ECX[24]"), ("avx-vnni", "CPUID.(EAX=07H,ECX=1):EAX[4]"),
      ("rdctl-no", "MSR 10AH[0]"),
    ])
  func named(_ name: String, _ bit: String) {
    #expect(ProcessorFeature.named(name).first?.bit.description == bit)
  }

  @Test("no feature has an empty name, nor one that nobody gave it", arguments: ["", " ", "-", "no-such-feature"])
  func unnamed(_ name: String) { #expect(ProcessorFeature.named(name).isEmpty) }

  @Test("the well-known features are those of the table")
  func wellKnown() {
    for (feature, name) in [
      (ProcessorFeature.pdpe1gb, "pdpe1gb"), (.nx, "nx"), (.lm, "lm"), (.la57, "la57"), (.pse36, "pse36"),
    ] {
      #expect(ProcessorFeature.named(inQEMU: name) == [feature] && feature.qemuName == name)
    }
  }

  @Test("each group has features, and few have none")
  func groups() {
    let grouped = Dictionary(grouping: ProcessorFeature.table.filter { $0.qemuName != nil }) { FeatureGroup($0) }
    for group in FeatureGroup.allCases where group != .other {
      #expect(grouped[group] != nil, "\(group)")
      #expect(!group.title.isEmpty)
    }
    #expect((grouped[.other]?.count ?? 0) < 40, "\(grouped[.other]?.map(\.name) ?? [])")
  }
}

@Suite("Enable bits")
struct EnableBitTests {
  @Test("each option is one bit of one register, with its name")
  func options() {
    var seen: Set<EnableBit> = []
    for position in 0..<51 {
      let bits = EnableBits(rawValue: 1 << UInt64(position)).bits
      #expect(bits.count == 1)
      for bit in bits { #expect(seen.insert(bit).inserted, "\(bit.name)") }
    }
    #expect(EnableBits(rawValue: 1 << 51).bits.isEmpty, "another bit has no entry; the test above does not see it")
  }

  @Test(
    "names and places",
    arguments: [
      (EnableBits.osfxsr, "CR4.OSFXSR", EnableBit.Register.cr4, 9, true),
      (.emulationOff, "CR0.EM", .cr0, 2, false), (.osxsave, "CR4.OSXSAVE", .cr4, 18, true),
      (.nxe, "EFER.NXE", .efer, 11, true), (.xcr0AVX, "XCR0.AVX", .xcr0, 2, true), (.la57, "CR4.LA57", .cr4, 12, true),
      (.pcide, "CR4.PCIDE", .cr4, 17, true), (.smep, "CR4.SMEP", .cr4, 20, true), (.sce, "EFER.SCE", .efer, 0, true),
    ])
  func places(_ option: EnableBits, _ name: String, _ register: EnableBit.Register, _ bit: Int, _ isSet: Bool) {
    #expect(option.bits.count == 1)
    let first = option.bits.first
    #expect(first?.register == register && first?.bit == bit && first?.isSet == isSet && first?.name == name)
  }

  @Test("what a register must be changed to")
  func enabling() throws {
    let osfxsr = try #require(EnableBits.osfxsr.bits.first)
    #expect(osfxsr.enabling(0) == 1 << 9 && osfxsr.isEnabled(in: 1 << 9) && !osfxsr.isEnabled(in: 0))
    let emulation = try #require(EnableBits.emulationOff.bits.first)
    #expect(emulation.enabling(0x15) == 0x11 && emulation.isEnabled(in: 0x11) && !emulation.isEnabled(in: 0x15))
  }
}

@Suite("Feature sets and reports")
struct FeatureSetTests {
  static let avx2 = FeatureBit(.cpuid(7, 0, .ebx), 5)
  static let nx = ProcessorFeature.nx.bit

  @Test("sets are made, changed and compared bit by bit")
  func sets() {
    var set: FeatureSet = [.cpuid(7, 0, .ebx): 1 << 5]
    #expect(set[Self.avx2] && !set[Self.nx] && set.bits == [Self.avx2] && !set.isEmpty)
    set[Self.nx] = true
    #expect(Set(set.bits) == [Self.avx2, Self.nx])
    #expect(set.subtracting(FeatureSet([Self.avx2])) == FeatureSet([Self.nx]))
    #expect(set.intersection(FeatureSet([Self.avx2])) == FeatureSet([Self.avx2]))
    #expect(set.symmetricDifference(FeatureSet([Self.avx2])) == FeatureSet([Self.nx]))
    set[Self.nx] = false
    set[Self.avx2] = false
    #expect(set == FeatureSet() && set.isEmpty)
  }

  @Test("a report tells what it knows, and disagrees on nothing else")
  func reports() {
    let a: FeatureReport = [.nx: true, .pdpe1gb: false]
    let b: FeatureReport = [.nx: false, .la57: true]
    #expect(a.has(.nx) == true && a.has(.pdpe1gb) == false && a.has(.la57) == nil)
    #expect(a.disagreements(with: b).features == [.nx])
  }

  @Test("levels of x86-64 are made of features", arguments: MicroarchitectureLevel.allCases)
  func levels(_ level: MicroarchitectureLevel) {
    let features = FeatureSet(level.features.map(\.bit))
    #expect(MicroarchitectureLevel.highest(of: features) == level)
    for feature in level.ownFeatures {
      let less = features.subtracting(FeatureSet([feature.bit]))
      #expect(MicroarchitectureLevel.highest(of: less)?.rawValue ?? 0 < level.rawValue)
    }
    #expect(MicroarchitectureLevel(name: level.name) == level)
  }

  @Test(
    arguments: [("x86-64", 1), ("V3", 3), ("X86-64-v4", 4), ("v5", nil), ("", nil), ("avx2", nil)] as [(String, Int?)])
  func levelNames(_ name: String, _ level: Int?) {
    #expect(MicroarchitectureLevel(name: name)?.rawValue == level)
  }
}
