// A stack where nothing is mapped.
//
// The mistake: a new thread's stack is taken from memory that was given out, and never mapped.
//
// What happens: the first PUSH is a page fault, whose delivery needs the stack as well. A triple fault, whatever the
// IDT has.
//
// Where: everywhere.
//
// The cure: map the stack before it is used.

import Boot
import Processor

let space = AddressSpace()
#if CURED
  space.pdpt[1] = [.table(.directory(mappingGiBAt: 0)), .present, .writable]
#endif
space.use()
pushOnStack(0x4080_0000)
printLine("OK")
exit()
