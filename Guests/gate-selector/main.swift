// A gate with the wrong code segment.
//
// The mistake: another kernel's GDT has its code at 10H, and so have these gates; here that is data.
//
// What happens: #GP with the selector as its error code; no other gate is there, and so a triple fault.
//
// Where: everywhere.
//
// The cure: the selector of the 64-bit code segment of this GDT.

import Boot
import Processor

let interrupts = InterruptTable()
#if CURED
  interrupts[32] = Gate(to: tickHandler())
#else
  interrupts[32] = Gate(to: tickHandler(), selector: 0x10)
#endif
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
