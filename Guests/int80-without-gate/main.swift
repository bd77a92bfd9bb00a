// INT 80H without a gate for it.
//
// The mistake: a program makes a system call as 32-bit Linux would have it, and this kernel has none.
//
// What happens: the gate is empty. #GP or #NP, whose gate is left out here as well, and so a triple fault.
//
// Where: everywhere; kvm_pvm cannot emulate INT n and gives up.
//
// The cure: a gate for vector 80H, with DPL 3 if user mode is to use it.

import Boot
import Processor

let interrupts = InterruptTable()
#if CURED
  interrupts[0x80] = Gate(to: ignoringHandler())
#endif
interrupts.use()
softwareInterrupt()
printLine("OK")
exit()
