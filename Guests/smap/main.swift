// The kernel reads a page of user mode while CR4.SMAP is set.
//
// The mistake: the kernel reads what a program's pointer points to, as it always did, and forgets to say that it
// means to.
//
// What happens: a page fault, though the page is present and readable. Without an IDT that becomes a triple fault.
//
// Where: everywhere, where -cpu has SMAP.
//
// The cure: STAC before such an access and CLAC after it.

import Boot
import Processor

let space = AddressSpace()
space.pdpt[0].insert(.user)
space.pml4[0].insert(.user)
space.directory[4].insert(.user)
space.use()
writeCR4(readCR4() | 1 << 21)  // SMAP

#if CURED
  allowUserAccess()
#endif
_ = loadQuadword(0x80_0000)
printLine("OK")
exit()
