/// A bit that software sets, or clears, before it may use a feature.
///
/// Without it the instructions of the feature raise #UD or #NM although CPUID announces them, or a table entry's bit is
/// reserved (SDM vol. 1, 13.2 and vol. 3, 2.5, 2.6, 2.2.1; APM vol. 2, 3.1).
public struct EnableBit: Hashable, Sendable {
  /// Where the bit is.
  public enum Register: Hashable, Sendable {
    case cr0
    case cr4
    case xcr0
    case efer
    case msr(UInt32)
  }

  public var register: Register
  /// 0 to 63.
  public var bit: Int
  /// Whether it must be 1; false if it must be 0.
  public var isSet: Bool
  /// The manuals' name, such as `CR4.OSFXSR`.
  public var name: String

  /// The value of `register` with the bit as it must be.
  public func enabling(_ value: UInt64) -> UInt64 { isSet ? value | 1 << UInt64(bit) : value & ~(1 << UInt64(bit)) }

  /// Whether the bit is as it must be in this value of the register.
  public func isEnabled(in value: UInt64) -> Bool { enabling(value) == value }
}

/// Which bits must be set, or clear, to use something.
public struct EnableBits: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  private init(at position: UInt64) { rawValue = 1 << position }

  // CR0
  public static let emulationOff = Self(at: 0)
  public static let taskSwitchedOff = Self(at: 1)
  // CR4
  public static let vme = Self(at: 2)
  public static let pvi = Self(at: 3)
  public static let de = Self(at: 4)
  public static let pse = Self(at: 5)
  public static let pae = Self(at: 6)
  public static let mce = Self(at: 7)
  public static let pge = Self(at: 8)
  public static let osfxsr = Self(at: 9)
  public static let umip = Self(at: 10)
  public static let la57 = Self(at: 11)
  public static let vmxe = Self(at: 12)
  public static let smxe = Self(at: 13)
  public static let fsgsbase = Self(at: 14)
  public static let pcide = Self(at: 15)
  public static let osxsave = Self(at: 16)
  public static let kl = Self(at: 17)
  public static let smep = Self(at: 18)
  public static let smap = Self(at: 19)
  public static let pke = Self(at: 20)
  public static let cet = Self(at: 21)
  public static let pks = Self(at: 22)
  public static let uintr = Self(at: 23)
  public static let lass = Self(at: 24)
  public static let lamSupervisor = Self(at: 25)
  public static let fred = Self(at: 26)
  // XCR0
  public static let xcr0SSE = Self(at: 27)
  public static let xcr0AVX = Self(at: 28)
  public static let xcr0BoundRegisters = Self(at: 29)
  public static let xcr0BoundConfiguration = Self(at: 30)
  public static let xcr0Opmask = Self(at: 31)
  public static let xcr0ZMMHi256 = Self(at: 32)
  public static let xcr0Hi16ZMM = Self(at: 33)
  public static let xcr0PKRU = Self(at: 34)
  public static let xcr0TileConfiguration = Self(at: 35)
  public static let xcr0TileData = Self(at: 36)
  // EFER
  public static let sce = Self(at: 37)
  public static let lme = Self(at: 38)
  public static let nxe = Self(at: 39)
  public static let svme = Self(at: 40)
  public static let ffxsr = Self(at: 41)
  public static let tce = Self(at: 42)
  public static let mcommit = Self(at: 43)
  public static let automaticIBRS = Self(at: 44)
  // Other MSRs
  public static let apicEnabled = Self(at: 45)
  public static let x2apicMode = Self(at: 46)
  public static let vmxOutsideSMX = Self(at: 47)
  public static let sgxEnabled = Self(at: 48)
  public static let monitorEnabled = Self(at: 49)
  public static let lwpState = Self(at: 50)

  /// x87 and MMX: an FPU that neither is emulated nor holds another task's state.
  public static let x87: Self = [.emulationOff, .taskSwitchedOff]
  /// SSE and its successors without VEX.
  public static let sse: Self = [.emulationOff, .taskSwitchedOff, .osfxsr]
  /// What VEX encodes for vectors. CR0.EM and CR4.OSFXSR do not count (SDM vol. 2, 2.4, exception types 1 to 8).
  public static let avx: Self = [.taskSwitchedOff, .osxsave, .xcr0SSE, .xcr0AVX]
  /// What EVEX encodes, and the opmask instructions (SDM vol. 2, 2.8).
  public static let avx512: Self = [.avx, .xcr0Opmask, .xcr0ZMMHi256, .xcr0Hi16ZMM]
  /// Tiles (SDM vol. 2, 2.10).
  public static let amx: Self = [.osxsave, .xcr0TileConfiguration, .xcr0TileData]
  public static let mpx: Self = [.osxsave, .xcr0BoundRegisters, .xcr0BoundConfiguration]

  /// Each bit, in the order of its register and number.
  public var bits: [EnableBit] {
    var bits: [EnableBit] = []
    for (position, entry) in Self.entries.enumerated() where rawValue & 1 << UInt64(position) != 0 {
      bits.append(EnableBit(register: entry.0, bit: entry.1, isSet: entry.2, name: entry.3.description))
    }
    return bits
  }

  /// By position in `rawValue`.
  private static let entries: [(EnableBit.Register, Int, Bool, StaticString)] = [
    (.cr0, 2, false, "CR0.EM"), (.cr0, 3, false, "CR0.TS"),
    (.cr4, 0, true, "CR4.VME"), (.cr4, 1, true, "CR4.PVI"), (.cr4, 3, true, "CR4.DE"), (.cr4, 4, true, "CR4.PSE"),
    (.cr4, 5, true, "CR4.PAE"), (.cr4, 6, true, "CR4.MCE"), (.cr4, 7, true, "CR4.PGE"), (.cr4, 9, true, "CR4.OSFXSR"),
    (.cr4, 11, true, "CR4.UMIP"), (.cr4, 12, true, "CR4.LA57"), (.cr4, 13, true, "CR4.VMXE"),
    (.cr4, 14, true, "CR4.SMXE"), (.cr4, 16, true, "CR4.FSGSBASE"), (.cr4, 17, true, "CR4.PCIDE"),
    (.cr4, 18, true, "CR4.OSXSAVE"), (.cr4, 19, true, "CR4.KL"), (.cr4, 20, true, "CR4.SMEP"),
    (.cr4, 21, true, "CR4.SMAP"), (.cr4, 22, true, "CR4.PKE"), (.cr4, 23, true, "CR4.CET"), (.cr4, 24, true, "CR4.PKS"),
    (.cr4, 25, true, "CR4.UINTR"), (.cr4, 27, true, "CR4.LASS"), (.cr4, 28, true, "CR4.LAM_SUP"),
    (.cr4, 32, true, "CR4.FRED"),
    (.xcr0, 1, true, "XCR0.SSE"), (.xcr0, 2, true, "XCR0.AVX"), (.xcr0, 3, true, "XCR0.BNDREG"),
    (.xcr0, 4, true, "XCR0.BNDCSR"), (.xcr0, 5, true, "XCR0.opmask"), (.xcr0, 6, true, "XCR0.ZMM_Hi256"),
    (.xcr0, 7, true, "XCR0.Hi16_ZMM"), (.xcr0, 9, true, "XCR0.PKRU"), (.xcr0, 17, true, "XCR0.TILECFG"),
    (.xcr0, 18, true, "XCR0.TILEDATA"),
    (.efer, 0, true, "EFER.SCE"), (.efer, 8, true, "EFER.LME"), (.efer, 11, true, "EFER.NXE"),
    (.efer, 12, true, "EFER.SVME"), (.efer, 14, true, "EFER.FFXSR"), (.efer, 15, true, "EFER.TCE"),
    (.efer, 17, true, "EFER.MCOMMIT"), (.efer, 21, true, "EFER.AIBRSE"),
    (.msr(0x1B), 11, true, "IA32_APIC_BASE.EN"), (.msr(0x1B), 10, true, "IA32_APIC_BASE.EXTD"),
    (.msr(0x3A), 2, true, "IA32_FEATURE_CONTROL.VMX outside SMX"), (.msr(0x3A), 18, true, "IA32_FEATURE_CONTROL.SGX"),
    (.msr(0x1A0), 18, true, "IA32_MISC_ENABLE.MONITOR FSM"), (.xcr0, 62, true, "XCR0.LWP"),
  ]
}
