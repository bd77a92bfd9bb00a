// A stack that grows into the page tables.
//
// The mistake: the stack is given the page behind the tables, a page is not enough, and there is no guard. What is
// pushed overwrites entries.
//
// What happens: the processor goes on with what the TLB holds, and then walks through return addresses. A page
// fault, whose delivery needs the same tables: a triple fault.
//
// Where: everywhere.
//
// The cure: a larger stack, with a guard page below it.

import Boot
import Processor

let space = AddressSpace()
space.use()
#if CURED
  let stack = initialStackTop() - 8192
#else
  let stack = space.directory.address + 4096
#endif
fillStack(stack, 512, 0x10_0000_0000_1234)
space.use()
printLine("OK")
exit()
