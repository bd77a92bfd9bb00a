// An IDT where nothing is mapped.
//
// The mistake: LIDT gets the address that the table will have once the kernel runs in the upper half, and interrupts
// are on before that.
//
// What happens: the gate cannot be read: a page fault with CR2 inside the IDT, and so at every exception after it. A
// triple fault.
//
// Where: everywhere.
//
// The cure: LIDT again, or at last, when the address is mapped.

import Boot
import Processor

let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
#if CURED
  interrupts.use()
#else
  loadIDT(0xffff_ffff_8000_0000 + interrupts.address, 4095)
#endif
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
