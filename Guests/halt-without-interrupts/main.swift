// HLT with interrupts off.
//
// The mistake: the kernel waits for the timer, and the STI that belongs before the HLT is missing.
//
// What happens: nothing wakes the processor again. The guest hangs and needs no time of the host's.
//
// Where: everywhere.
//
// The cure: STI directly before HLT: no interrupt comes in between.

import Boot
import Processor

let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
#if CURED
  enableInterrupts()
#endif
halt()
printLine("OK")
exit()
