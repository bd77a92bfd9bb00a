// IRET with the error code still on the stack.
//
// The mistake: some exceptions push an error code and some do not. This handler of page faults returns as if there
// were none.
//
// What happens: IRET takes the error code for RIP, and RIP for CS: #GP, which has no gate here. A triple fault.
//
// Where: everywhere.
//
// The cure: add 8 to RSP before IRET, for vectors 8, 10 to 14, 17, 21, 29 and 30.

import Boot
import Processor

let space = AddressSpace()
space.directory[4] = []
space.use()

let interrupts = InterruptTable()
#if CURED
  // It comes back to the instruction that faulted, so the page has to be there by then.
  interrupts[14] = Gate(to: mapAndReturnHandler(space.directory.address + 4 * 8, 0x80_0083))
#else
  interrupts[14] = Gate(to: ignoringHandler())
#endif
interrupts.use()
touch(0x80_0000)
printLine("OK")
exit()
