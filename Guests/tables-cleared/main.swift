// Page tables in .bss that are cleared while they are in use.
//
// The mistake: the kernel clears its .bss as a C program expects, and its page tables lie in there.
//
// What happens: the processor goes on for as long as its TLB remembers; the next reload of CR3 empties it. The next
// instruction cannot be fetched. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: clear .bss before the tables are built, or keep them out of it.

import Boot
import Processor

let space = AddressSpace()
space.use()
#if CURED
#else
  // What a memset of .bss does to the tables.
  for entry in 0..<512 { space.directory[entry] = [] }
#endif
space.use()
printLine("OK")
exit()
