// A gate without P.
//
// The mistake: the type and the handler are there, but the P bit was forgotten: 0x0E instead of 0x8E.
//
// What happens: #NP with an error code that names the gate; no other gate is there, and so a triple fault.
//
// Where: everywhere.
//
// The cure: 0x8E.

import Boot
import Processor

let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
#if CURED
#else
  interrupts[32] = interrupts[32].notPresent
#endif
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
