import QEMU
import X86

/// What a register dump proves that is cut, or whose registers QEMU could not read: too little for a `ProcessorState`.
struct PartialDumpObservations {
  private let dump: RegisterDump
  private let source: Source
  private(set) var evidence: [Evidence] = []

  init(_ dump: RegisterDump, _ source: Source) {
    (self.dump, self.source) = (dump, source)
    note(
      "Only a part of the dump is here: \(dump.missing.count > 6 ? "most registers are" : dump.missing.joined(separator: ", ") + (dump.missing.count == 1 ? " is" : " are")) missing"
    )
    unreadable()
    place()
    registerPair()
  }

  private mutating func note(_ text: String) { evidence.append(Evidence(text, source)) }

  /// Bit 1 of RFLAGS is 1 on every processor (SDM vol. 1, 3.4.3).
  private mutating func unreadable() {
    guard dump[.rflags] == 0 else { return }
    let areAllZero = dump.registers.filter { ![.a20].contains($0.key) }.allSatisfy { $0.value.value == 0 }
    note(
      "EFLAGS is 0, which no processor has (bit 1 is always 1)\(areAllZero ? ", and all other registers are 0" : ""): these are not the guest's registers. QEMU cannot read those "
        + "of a protected guest (TDX, SEV-ES), so nothing may be concluded from them")
  }

  private mutating func place() {
    guard dump[.rflags] != 0 || dump[.rip] != 0, let rip = dump[.rip] else { return }
    if dump[.smm] == 1 {
      note(
        rip == 0x8000
          ? "SMM is 1 and EIP is 8000: the first instruction of the handler of a system-management interrupt (SMI): the processor was entering SMM"
          : "SMM is 1: the processor is in system-management mode, at \(rip.hexadecimal)")
      return
    }
    guard let cs = dump[.cs], cs.attributes.contains(.present) else {
      if rip == 0xFFF0 {
        note("EIP is fff0, where a processor begins after its reset: if CS is f000 too, it has run nothing since")
      } else {
        window(rip, of: "RIP")
      }
      return
    }
    let kind = cs.attributes.contains(.long) ? "64-bit" : cs.attributes.contains(.big) ? "32-bit" : "16-bit"
    let address = cs.attributes.contains(.long) ? rip : (cs.base &+ rip) & 0xFFFF_FFFF
    note(
      "CS \(cs.selector.rawValue.hexadecimal) is a \(kind) code segment; RIP is \(rip.hexadecimal)"
        + (cs.base == 0 || cs.attributes.contains(.long) ? "" : ", linear address \(address.hexadecimal)")
        + (address < 0x10_0000
          ? ", in the first megabyte: a boot loader's place, not that of most kernels. Few boot loaders have an IDT, and without one the first exception is a triple fault"
          : ""))
    window(address, of: "CS:IP")
  }

  /// Without CR0 it is not known whether the address is the physical one.
  private mutating func window(_ address: UInt64, of name: String) {
    guard PCMemory.vgaWindow.contains(address) else { return }
    let isPhysical = dump[.cr0].map { !CR0(rawValue: $0).contains(.paging) } == true
    note(
      "\(name) is \(address.hexadecimal), in the VGA window (A0000-BFFFF)\(isPhysical ? "" : " if low addresses are mapped to themselves, as loaders and firmware do"): nothing can be executed there. Execution that runs through zeroes from 0 on ends there"
    )
  }

  /// ECX, EDX and EAX as WRMSR takes them.
  private mutating func registerPair() {
    guard let rcx = dump[.rcx], let rax = dump[.rax], let rdx = dump[.rdx] else { return }
    let index = UInt32(truncatingIfNeeded: rcx)
    guard index > 0xFF, KnownMSR.words(index).contains("("), rcx <= 0xFFFF_FFFF else { return }
    let value = rdx << 32 | rax & 0xFFFF_FFFF
    note(
      "ECX is the number of \(KnownMSR.words(index)) and EDX:EAX \(value.hexadecimal): as an RDMSR of it leaves them and a WRMSR takes them"
    )
  }
}
