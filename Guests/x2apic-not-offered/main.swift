// x2APIC mode without asking for it.
//
// The mistake: the kernel reads its local APIC's ID through the MSR of x2APIC mode, which is not on.
//
// What happens: RDMSR raises #GP. Without an IDT that becomes a triple fault.
//
// Where: KVM; TCG reads 0 from MSRs that it does not know.
//
// The cure: ask CPUID 01H:ECX[21], set IA32_APIC_BASE.EXTD; or read the register in memory.

import Boot
import Processor

#if CURED
  _ = cpuid(1).ebx >> 24
#else
  _ = readMSR(0x802)  // the local APIC's ID
#endif
printLine("OK")
exit()
