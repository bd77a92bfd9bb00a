// CR4.PCIDE on a CPU model without PCID.
//
// The mistake: the kernel switches process-context identifiers on and does not ask CPUID 01H:ECX[17] first.
//
// What happens: MOV to CR4 raises #GP; TCG never gets past the instruction. Without an IDT that becomes a triple
// fault.
//
// Where: everywhere where -cpu lacks it.
//
// The cure: `-cpu qemu64,+pcid` under KVM, or do without.

import Boot
import Processor

#if CURED
  AddressSpace().use()
#else
  writeCR4(readCR4() | 1 << 17)  // PCIDE
#endif
printLine("OK")
exit()
