// RDRAND on a CPU model without it.
//
// The mistake: the kernel seeds its random numbers with RDRAND and does not ask CPUID 01H:ECX[30] first.
//
// What happens: #UD. Without an IDT that becomes a triple fault.
//
// Where: TCG, and KVM on a processor that lacks it or that intercepts it.
//
// The cure: `-cpu qemu64,+rdrand`, or ask first and have another seed.

import Boot
import Processor

#if CURED
  _ = readTimeStamp()
#else
  _ = randomNumber()
#endif
printLine("OK")
exit()
