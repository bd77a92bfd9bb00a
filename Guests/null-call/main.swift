// A call through a null pointer.
//
// The mistake: a driver has no function for this request, and the kernel calls it without asking.
//
// What happens: a page fault with CR2 = 0 and RIP = 0: a fetch. Where the call came from is on top of the stack.
// Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: check the pointer, or fill the table with a function that says no.

import Boot
import Processor

let space = AddressSpace()
let firstPages = space.split(0)
firstPages[0] = []
space.use()
#if CURED
  callAddress(address {})
#else
  callAddress(0)
#endif
printLine("OK")
exit()
