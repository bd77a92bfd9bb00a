import X86

/// What a PC has at fixed physical addresses.
enum PCMemory {
  /// 0 to 9FFFFH: RAM on every PC with as much (QEMU 7.2 hw/i386/pc.c: pc_memory_init).
  static let conventional: Range<UInt64> = 0..<0xA_0000

  /// A0000H to BFFFFH, where a PC has the frame buffers of VGA and, in SMM, possibly SMRAM (QEMU 7.2,
  /// hw/display/vga.c: vga_init, hw/pci-host/i440fx.c and q35.c).
  static let vgaWindow: ClosedRange<UInt64> = 0xA_0000...0xB_FFFF

  /// B8000H to B8F9FH: 80 by 25 characters of two bytes.
  static let vgaText: Range<UInt64> = 0xB_8000..<0xB_8FA0

  /// E0000H to FFFFFH: the BIOS, SeaBIOS or the end of the flash.
  static let bios: ClosedRange<UInt64> = 0xE_0000...0xF_FFFF

  /// The chip sets' own registers and the flash below 4 GiB: the I/O APIC at FEC00000H, the HPET at FED00000H, the local APIC at
  /// FEE00000H, the flash from FFC00000H on (QEMU 7.2 hw/i386/pc.c, hw/i386/pc_sysfw.c).
  static func place(of address: UInt64, isInSMM: Bool = false) -> String? {
    switch address {
    case vgaWindow where isInSMM: "A0000-BFFFF, which in SMM may be SMRAM"
    case vgaWindow: "the VGA window (A0000-BFFFF)"
    case 0xC_0000...0xC_7FFF: "the place of the video ROM (C0000-C7FFF)"
    case 0xC_8000...0xD_FFFF: "the place of option ROMs (C8000-DFFFF)"
    case bios: "the place of the BIOS (E0000-FFFFF)"
    case 0xFEC0_0000...0xFEC0_0FFF: "the I/O APIC's registers"
    case 0xFED0_0000...0xFED0_03FF: "the HPET's registers"
    case 0xFEE0_0000...0xFEE0_0FFF: "the local APIC's registers"
    case 0xFFC0_0000...0xFFFF_FFFF: "the flash below 4 GiB, the firmware's"
    default: nil
    }
  }
}
