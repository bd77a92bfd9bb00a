// A handler of page faults that faults itself.
//
// The mistake: the handler looks at a table of the kernel's to find out what to map, and that table is not mapped in this
// address space.
//
// What happens: a page fault, in its handler another, and in that one another, until the stack is used up. Below the
// stack is a page that is not mapped. A triple fault.
//
// Where: everywhere.
//
// The cure: what the handler needs is mapped in every address space.

import Boot
import Processor

let space = AddressSpace()
let pages = space.split(2)
pages[0x10] = []  // the guard
space.directory[6] = []  // 12 MiB to 14 MiB: the kernel's table
space.use()
let interrupts = InterruptTable()
_ = mapAndReturnHandler(0xc0_0000, 0)
#if CURED
  interrupts[14] = Gate(to: endingHandler())
#else
  interrupts[14] = Gate(to: readingFaultHandler())
#endif
interrupts.use()
readOnStack(0x41_3000, 0xc0_0000)
