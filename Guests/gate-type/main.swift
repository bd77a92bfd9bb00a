// A gate of a type that 64-bit mode does not have.
//
// The mistake: the type is written as 5, a task gate of protected mode, instead of 0xE.
//
// What happens: #GP with an error code that names the gate; no other gate is there, and so a triple fault.
//
// Where: everywhere.
//
// The cure: 0xE for an interrupt gate, 0xF for a trap gate.

import Boot
import Processor

let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
#if CURED
#else
  interrupts[32].low ^= (0xe ^ 0x5) << 40
#endif
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
