// A handler where nothing is mapped.
//
// The mistake: the gates hold the addresses that the handlers were linked to, and the kernel does not run there yet.
//
// What happens: the gate is fine, and the first instruction of the handler cannot be fetched: a page fault with CR2
// equal to RIP, over and over until the stack ends or, without a gate for it, a triple fault.
//
// Where: everywhere.
//
// The cure: fill in the gates when the kernel runs where it is linked to run.

import Boot
import Processor

let interrupts = InterruptTable()
#if CURED
  interrupts[32] = Gate(to: tickHandler())
#else
  interrupts[32] = Gate(to: 0xffff_ffff_8000_0000 + tickHandler())
#endif
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
