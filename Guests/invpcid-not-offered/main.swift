// INVPCID on a CPU model without it.
//
// The mistake: the kernel empties the TLB with INVPCID and does not ask CPUID 07H:EBX[10] first.
//
// What happens: #UD. Without an IDT that becomes a triple fault.
//
// Where: everywhere where -cpu lacks it.
//
// The cure: another CPU model, or a reload of CR3.

import Boot
import Processor

#if CURED
  AddressSpace().use()
#else
  invalidateAllContexts()
#endif
printLine("OK")
exit()
