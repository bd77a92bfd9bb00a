// A handler that returns to the instruction that faulted, and has mended nothing.
//
// The mistake: the handler of page faults is there to map pages on demand, and cannot map this one; it returns all
// the same.
//
// What happens: the instruction faults again, for ever. The guest hangs with its processor busy.
//
// Where: everywhere.
//
// The cure: map the page, or stop.

import Boot
import Processor

let space = AddressSpace()
space.directory[4] = []
space.use()

let interrupts = InterruptTable()
#if CURED
  interrupts[14] = Gate(to: mapAndReturnHandler(space.directory.address + 4 * 8, 0x80_0083))
#else
  interrupts[14] = Gate(to: faultIgnoringHandler())
#endif
interrupts.use()
touch(0x80_0000)
printLine("OK")
exit()
