import GuestImage
import X86

/// A write to a port that a processor has just made, as its registers and the code around RIP show it.
struct PortWrite: Hashable {
  var port: UInt16
  /// AL, AX or EAX.
  var value: UInt64

  /// The write of the OUT that RIP stands at or right behind, or that the function made which has just returned; nil where there is none, or
  /// the code is not known.
  init?(of state: ProcessorState, in memory: any PhysicalMemory) {
    guard let out = Self.atPointer(state, in: memory) ?? Self.beforeReturn(state, in: memory) else { return nil }
    port = out.port ?? UInt16(truncatingIfNeeded: state.generalPurpose.rdx)
    value = state.generalPurpose.rax & (out.isByte ? 0xFF : 0xFFFF_FFFF)
  }

  /// An OUT: its port, nil for DX, and whether it writes AL alone.
  private typealias Out = (port: UInt16?, isByte: Bool)

  private static func atPointer(_ state: ProcessorState, in memory: any PhysicalMemory) -> Out? {
    guard let around = NextInstruction.bytesAround(state, in: memory) else { return nil }
    var (before, after) = around
    // Under TCG the processor gets as far as the HLT that waits for the effect of the write.
    if state.isHalted == true, before.last == 0xF4 { before.removeLast() }
    if let last = before.last, last == 0xEE || last == 0xEF { return (nil, last == 0xEE) }
    if let first = before.dropLast().last, first == 0xE6 || first == 0xE7 { return out(Array(before.suffix(2))) }
    return out(after)
  }

  /// What `bytes` begin with, where that is an OUT.
  private static func out(_ bytes: [UInt8]) -> Out? {
    switch bytes.first {
    case 0xEE: (nil, true)
    case 0xEF: (nil, false)
    case 0xE6 where bytes.count > 1: (UInt16(bytes[1]), true)
    case 0xE7 where bytes.count > 1: (UInt16(bytes[1]), false)
    default: nil
    }
  }

  /// How much of a function is looked at.
  private static let longestFunction = 256

  /// TCG stops for a reset where its next translation block begins, and it is a branch that ends one (QEMU 7.2 softmmu/runstate.c:
  /// qemu_system_reset_request, accel/tcg/translator.c): a function that writes to a port has returned by then. Below the stack's top
  /// is still the address that it returned to.
  private static func beforeReturn(_ state: ProcessorState, in memory: any PhysicalMemory) -> Out? {
    guard state.mode != .real, state.mode != .virtual8086, let paging = Paging(state, rules: PagingRules()) else {
      return nil
    }
    func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? {
      try? paging.bytes(at: LinearAddress(address), count: count, for: PageAccess(.read, by: .supervisor), in: memory)
    }
    let pointer = state.instructionAddress.rawValue
    let width = state.mode == .long64 ? 8 : 4
    guard let left = bytes(state.stackAddress &- UInt64(width), width), UInt64(littleEndian: left[...]) == state.rip,
      let call = bytes(pointer &- 5, 5),
      let target = (try? Instruction.decode(call, at: pointer &- 5, mode: state.mode))?.branchTarget, call[0] == 0xE8,
      let code = (bytes(target, longestFunction) ?? bytes(target, 0x1000 - Int(target & 0xFFF)))
    else { return nil }
    return lastOut(before: "ret", in: code, at: target, state.mode)
  }

  /// The OUT that is followed by no branch up to the first instruction of this name.
  private static func lastOut(before end: String, in code: [UInt8], at start: UInt64, _ mode: ProcessorMode) -> Out? {
    var found: Out?
    var offset = 0
    while let instruction = try? Instruction.decode(
      Array(code[offset...].prefix(15)), at: start &+ UInt64(offset), mode: mode)
    {
      if instruction.mnemonic == end { return found }
      if instruction.mnemonic == "out" {
        found = out(instruction.bytes.first == 0x66 ? Array(instruction.bytes.dropFirst()) : instruction.bytes)
      } else if ["COND_BR", "UNCOND_BR", "CALL", "RET"].contains(instruction.category) {
        found = nil
      }
      offset += instruction.length
    }
    return nil
  }
}
