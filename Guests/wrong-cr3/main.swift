// CR3 loaded with the address of a table that is still empty.
//
// The mistake: the scheduler changes to a new address space before the kernel's own entries are copied into it.
//
// What happens: MOV to CR3 succeeds; the next instruction cannot be fetched: a page fault with CR2 equal to RIP.
// Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: copy the upper half of the PML4 into every address space when it is made.

import Boot
import Processor

let kernelSpace = AddressSpace()
kernelSpace.use()

let newRoot = PageTable()
#if CURED
  newRoot[0] = kernelSpace.pml4[0]
#endif
writeCR3(newRoot.address)
printLine("OK")
exit()
