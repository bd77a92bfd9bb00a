// A null pointer, where page 0 is not mapped.
//
// The mistake: the code takes the address of a structure from where there is none, and reads a field of it.
//
// What happens: a page fault with CR2 = 0x18, the offset of the field. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: find out why the pointer is null; check it before it is used.

import Boot
import Processor

let space = AddressSpace()
let firstPages = space.split(0)
firstPages[0] = []  // so that null pointers are found out
space.use()

#if CURED
  let device: UInt64 = 0x40_0000
#else
  let device: UInt64 = 0
#endif
_ = loadQuadword(device + 0x18)
printLine("OK")
exit()
