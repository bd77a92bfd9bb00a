// An interrupt for which there is no handler.
//
// The mistake: the PIC is remapped and interrupts are on, but only the exceptions have gates.
//
// What happens: the timer's gate is empty. #GP or #NP, whose gate is left out here as well, and so a triple fault.
//
// Where: everywhere.
//
// The cure: a gate for every interrupt that is not masked.

import Boot
import Processor

let interrupts = InterruptTable()
interrupts[3] = Gate(to: ignoringHandler())
#if CURED
  interrupts[32] = Gate(to: tickHandler())
#endif
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
