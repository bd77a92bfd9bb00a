import X86

/// Whose code the processor runs, as far as selectors and addresses tell that software is known by.
enum SoftwareObservations {
  /// The facts, each a sentence. The state must not be that of a reset processor.
  static func facts(of state: ProcessorState) -> [String] {
    firmware(state) + operatingSystem(state) + memory(state) + topOfMemory(state)
  }

  private static func firmware(_ state: ProcessorState) -> [String] {
    let base = state.gdtr.base.rawValue
    if isEDK2(state) {
      return [
        "CS \(state.cs.selector.rawValue.hexadecimal), DS \(state.ds.selector.rawValue.hexadecimal) and a GDT of limit \(state.gdtr.limit.hexadecimal) are those of EDK2, "
          + "UEFI firmware such as OVMF (UefiCpuPkg/CpuDxe/CpuGdt.c): boot services are still in force, or their GDT is"
      ]
    }
    if PCMemory.bios.contains(base), base > 0xE_0000, state.gdtr.limit == 0x37 {
      return [
        "The GDT, at \(base.hexadecimal) with limit 0x37, is SeaBIOS's (src/misc.c: rombios32_gdt): the BIOS is running, or what it left in force"
          + (usesStackOfSeaBIOS(state)
            ? ". ESP \(state.generalPurpose.rsp.hexadecimal) is on its stack, below 7000 (src/config.h: BUILD_STACK_ADDR)"
            : "")
      ]
    }
    if (0xFFC0_0000...0xFFFF_FFFF).contains(base) {
      return [
        "The GDT, at \(base.hexadecimal), is in the flash below 4 GiB: the firmware's own (OVMF's reset vector and SEC have theirs there, and so has U-Boot)"
      ]
    }
    return []
  }

  private static func usesStackOfSeaBIOS(_ state: ProcessorState) -> Bool {
    (0x6000...0x7000).contains(state.stackAddress)
  }

  /// The two layouts of the GDT that EDK2 has had: code of 64 bits at 28H, later at 38H.
  private static func isEDK2(_ state: ProcessorState) -> Bool {
    guard state.isLongModeActive, state.currentPrivilegeLevel != 3 else { return false }
    switch (state.cs.selector.rawValue, state.ds.selector.rawValue, state.gdtr.limit) {
    case (0x28, 0x08, 0x3F), (0x38, 0x30, 0x47): return true
    default: return false
    }
  }

  /// Linux Documentation/arch/x86/x86_64/mm.rst and arch/x86/include/asm/segment.h, 6.19; where Windows puts its kernel and drivers.
  private static func operatingSystem(_ state: ProcessorState) -> [String] {
    let rip = state.rip
    if state.mode == .long64, state.cs.selector.rawValue == 0x10 {
      if rip >= 0xFFFF_FFFF_8000_0000 {
        return ["RIP and CS 0x10 are those of the text of a 64-bit Linux kernel (from ffffffff80000000 on)"]
      }
      if (0xFFFF_F800_0000_0000...0xFFFF_F8FF_FFFF_FFFF).contains(rip) {
        return ["RIP and CS 0x10 are those of a 64-bit Windows kernel (fffff800… to fffff8ff…)"]
      }
    }
    if state.mode == .long64, state.cs.selector.rawValue == 0x33, state.ss.selector.rawValue == 0x2B {
      return ["CPL is 3 with CS 0x33 and SS 0x2b: a user program of a 64-bit system, not its kernel"]
    }
    if case .protected(bits: 32) = state.mode, state.cs.selector.rawValue == 0x60, state.ds.selector.rawValue == 0x7B {
      return ["CS 0x60 and DS 0x7b are the selectors of a 32-bit Linux kernel"] + lowMemory(state)
    }
    return []
  }

  /// A 32-bit Linux maps physical memory from C0000000H on (3G/1G split, Documentation/arch/x86/zero-page.rst, PAGE_OFFSET).
  private static func lowMemory(_ state: ProcessorState) -> [String] {
    let stack = state.stackAddress
    guard stack >= 0xC000_0000, PCMemory.vgaWindow.contains(stack - 0xC000_0000) else { return [] }
    return [
      "ESP \(stack.hexadecimal) is, with the usual split at C0000000, physical \((stack - 0xC000_0000).hexadecimal), in the VGA window: a stack there is device memory"
    ]
  }

  /// UEFI firmware puts tables and stack at the top of the memory below 4 GiB.
  private static func memory(_ state: ProcessorState) -> [String] {
    guard isEDK2(state) else { return [] }
    let used = [state.cr3, state.gdtr.base.rawValue, state.idtr.base.rawValue, state.generalPurpose.rsp].filter {
      $0 < 1 << 32
    }
    guard let top = used.max(), top > 1 << 24 else { return [] }
    let mebibytes = (top >> 26 + 1) << 6
    return [
      "CR3, GDT, IDT and stack lie up to \(top.hexadecimal); UEFI keeps them at the top of memory: about \(mebibytes) MiB of RAM below 4 GiB"
    ]
  }

  /// SeaBIOS keeps its tables and buffers right below the end of RAM (src/malloc.c: malloc_preinit, ZoneTmpHigh and ZoneHigh).
  private static func topOfMemory(_ state: ProcessorState) -> [String] {
    guard PCMemory.bios.contains(state.cs.base), state.mode == .real else { return [] }
    return state.generalPurpose.named.compactMap { name, value in
      guard value & 0xFFFF == 0, (1 << 25..<1 << 32).contains(value) else { return nil }
      // The power of two above it.
      let end = UInt64(1) << UInt64(64 - value.leadingZeroBitCount)
      guard end - value <= 0x20_0000 else { return nil }
      return
        "\(name) (\(value.hexadecimal)) is \((end - value) >> 10) KiB below \(end >> 20) MiB: near the end of a memory of that size, where the BIOS keeps its buffers"
    }
  }
}
