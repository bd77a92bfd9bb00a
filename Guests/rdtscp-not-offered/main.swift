// RDTSCP on a CPU model without it.
//
// The mistake: the kernel's clock reads the time-stamp counter and the processor's number in one, and does not ask
// CPUID 80000001H:EDX[27] first.
//
// What happens: #UD. Without an IDT that becomes a triple fault.
//
// Where: TCG; VMX and SVM refuse it where CPUID does. kvm_pvm cannot emulate it.
//
// The cure: `-cpu qemu64,+rdtscp`, or RDTSC.

import Boot
import Processor

#if CURED
  _ = readTimeStamp()
#else
  _ = readTimeStampAndProcessor()
#endif
printLine("OK")
exit()
