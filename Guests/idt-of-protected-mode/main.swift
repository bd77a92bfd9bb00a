// An IDT with the gates of protected mode.
//
// The mistake: a gate of protected mode has 8 bytes, of 64-bit mode 16. Code from a 32-bit kernel fills in 8 at a
// time.
//
// What happens: the processor finds two gates where it looks for one, at twice the offset. The gate for vector 32 is
// where those for 64 and 65 would be, which nobody set. #GP or #NP, and a triple fault.
//
// Where: everywhere.
//
// The cure: gates of 16 bytes, with the upper half of the address in the third word.

import Boot
import Processor

let interrupts = InterruptTable()
#if CURED
  interrupts[32] = Gate(to: tickHandler())
#else
  for vector in 32..<48 {
    storeQuadword(interrupts.address + 8 * UInt64(vector), Gate.ofProtectedMode(to: tickHandler()))
  }
#endif
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
