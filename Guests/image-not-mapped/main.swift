// New page tables that leave out the code that installs them.
//
// The mistake: the kernel maps itself at the top of the address space, where it is linked to run, and loads CR3
// while it still executes at its physical address.
//
// What happens: MOV to CR3 succeeds; the next instruction cannot be fetched: a page fault with CR2 equal to RIP.
// Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: map the first pages to themselves too until the kernel has jumped to its new address.

import Boot
import Processor

let space = AddressSpace()
space.pml4[511] = space.pml4[0]  // the kernel's new home
#if CURED
#else
  space.pml4[0] = []
#endif
space.use()
printLine("OK")
exit()
