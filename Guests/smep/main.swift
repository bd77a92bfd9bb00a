// The kernel executes a page of user mode while CR4.SMEP is set.
//
// The mistake: a kernel calls a function through a pointer that a program gave it, or has mapped its own code with
// U/S set.
//
// What happens: a page fault with CR2 equal to RIP and bit 4 of its error code set. Without an IDT that becomes a
// triple fault.
//
// Where: everywhere, where -cpu has SMEP.
//
// The cure: clear U/S in the entries of pages that hold the kernel's code.

import Boot
import Processor

let space = AddressSpace()
space.pdpt[0].insert(.user)
space.pml4[0].insert(.user)
#if CURED
#else
  space.directory[4].insert(.user)
#endif
space.use()
writeCR4(readCR4() | 1 << 20)  // SMEP

let function: UInt64 = 0x80_0000
storeQuadword(function, 0xc3)  // RET
callAddress(function)
printLine("OK")
exit()
