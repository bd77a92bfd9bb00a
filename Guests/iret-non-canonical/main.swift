// IRET to an address that is none.
//
// The mistake: the frame for IRET is built with an address whose upper half is missing its sign.
//
// What happens: IRET raises #GP(0), or the fetch behind it does. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: an address has bits 63 to 48 equal to bit 47.

import Boot
import Processor

#if CURED
  let space = AddressSpace()
  space.pml4[256] = space.pml4[0]
  space.use()
  returnFromInterrupt(0xffff_8000_0000_0000 + endingHandler())
#else
  returnFromInterrupt(0x0000_8000_0000_0000 + endingHandler())
#endif
