import X86

/// What the addresses in a processor's registers prove, without memory: places that hold no RAM on a PC, addresses that
/// are not canonical, and registers that name one another.
enum AddressObservations {
  /// The facts, each a sentence. The state must not be that of a reset processor, whose addresses are the reset's.
  static func facts(of state: ProcessorState) -> [String] {
    instruction(state) + registers(state) + faultAddress(state) + smm(state)
  }

  private static func instruction(_ state: ProcessorState) -> [String] {
    let address = state.instructionAddress.rawValue
    var facts: [String] = []
    if state.mode == .long64, !isCanonical(address, state) {
      facts.append("RIP \(address.hexadecimal) is not canonical")
    }
    if isLinearPhysical(state), let place = PCMemory.place(of: address, isInSMM: state.isInSMM == true) {
      facts.append("CS:IP is at physical \(address.hexadecimal), in \(place)")
    }
    if state.mode == .real, state.rip > 0xFFFF_FFFF {
      facts.append(
        "RIP \(state.rip.hexadecimal) is wider than 32 bits, but CR0.PE is clear: RIP and CR0 are not of one moment")
    }
    return facts
  }

  private static func registers(_ state: ProcessorState) -> [String] {
    var facts: [String] = []
    if state.mode == .long64 {
      let rsp = state.generalPurpose.rsp
      if rsp == 0 { facts.append("RSP is 0: the next push wraps to the top of the address space") }
      if !isCanonical(rsp, state) { facts.append("RSP \(rsp.hexadecimal) is not canonical") }
    }
    guard isLinearPhysical(state) else { return facts }
    if PCMemory.vgaWindow.contains(state.stackAddress) {
      let place = state.isInSMM == true ? "A0000-BFFFF, which in SMM may be SMRAM" : "the VGA window"
      facts.append("The stack, at physical \(state.stackAddress.hexadecimal), is in \(place)")
    }
    for (name, table) in [("GDT", state.gdtr), ("IDT", state.idtr)]
    where PCMemory.vgaWindow.contains(table.base.rawValue) {
      facts.append("The \(name), at physical \(table.base.rawValue.hexadecimal), is in the VGA window")
    }
    return facts
  }

  /// CR2 keeps the address of the last page fault, which may be long past: only the equality is stated.
  private static func faultAddress(_ state: ProcessorState) -> [String] {
    guard state.cr0.contains(.paging), state.cr2 != 0 else { return [] }
    let named = [
      ("the address of the next instruction", state.instructionAddress.rawValue),
      ("RSP", state.generalPurpose.rsp),
      ("the base of the GDT", state.gdtr.base.rawValue),
      ("the base of the IDT", state.idtr.base.rawValue),
      ("the base of the TSS", state.tr.base),
    ]
    return named.filter { $0.1 == state.cr2 }.map {
      "CR2, the address of the last page fault, is \($0.0) (\(state.cr2.hexadecimal))"
    }
  }

  private static func smm(_ state: ProcessorState) -> [String] {
    state.isInSMM == true ? ["The processor is in system-management mode (SMM)"] : []
  }

  /// Without paging a linear address is the physical one (SDM vol. 3, 4.1).
  private static func isLinearPhysical(_ state: ProcessorState) -> Bool { !state.cr0.contains(.paging) }

  /// Bits 63 down to 47, or 56 with CR4.LA57, are equal (SDM vol. 1, 3.3.7.1).
  private static func isCanonical(_ address: UInt64, _ state: ProcessorState) -> Bool {
    Paging.isCanonical(LinearAddress(address), unusedBits: state.cr4.contains(.linearAddress57) ? 7 : 16)
  }
}
