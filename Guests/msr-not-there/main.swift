// A model-specific register that this processor does not have.
//
// The mistake: the guest reads the processor's temperature (IA32_THERM_STATUS, MSR 19CH) without asking CPUID whether there
// is a sensor, CPUID.06H:EAX[0].
//
// What happens: KVM does not know the MSR, so RDMSR raises #GP. Without an IDT that becomes a triple fault.
//
// Where: KVM, unless the host was told to ignore such accesses (kvm.ignore_msrs=1). TCG reads 0 from every MSR that it
// does not know.
//
// The cure: ask CPUID first.

import Boot
import Processor

#if CURED
  let hasSensor = cpuid(6).eax & 1 != 0
#else
  let hasSensor = true
#endif
if hasSensor { _ = readMSR(0x19c) }
printLine("OK")
exit()
