// An IDT whose limit ends before the gate.
//
// The mistake: LIDT gets the limit for 32 gates, as many as there are exceptions, and the timer comes on vector 32.
//
// What happens: the gate lies beyond the limit: #GP, for which there is a gate, but no handler that could do
// anything, so the table leaves it out: #DF, and a triple fault.
//
// Where: everywhere.
//
// The cure: the limit is 16 bytes for each gate, less one; or give it 4095 and be done.

import Boot
import Processor

let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
#if CURED
  interrupts.use()
#else
  interrupts.use(limit: 32 * 16 - 1)
#endif
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
