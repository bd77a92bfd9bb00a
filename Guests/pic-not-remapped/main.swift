// Interrupts on before the PIC is remapped.
//
// The mistake: firmware leaves IRQ 0 on vector 8, where long ago no exception was. This kernel has its timer's gate
// at 32.
//
// What happens: the timer comes as vector 8, for which there is no gate, or one that takes it for a double fault.
//
// Where: everywhere.
//
// The cure: initialise both PICs with a vector above 31 before STI, or mask them.

import Boot
import Processor

let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
interrupts.use()
#if CURED
  InterruptController.remap(to: 32)
#else
  InterruptController.maskAllButTimer()
#endif
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
