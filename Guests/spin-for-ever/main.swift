// A loop that nothing ends.
//
// The mistake: the kernel waits for the timer's tick, and interrupts are off.
//
// What happens: the guest hangs with its processor busy.
//
// Where: everywhere.
//
// The cure: STI before the loop.

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
waitForTick()
printLine("OK")
exit()
