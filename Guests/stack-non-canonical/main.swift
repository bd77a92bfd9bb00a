// A stack pointer that is no address.
//
// The mistake: the top of the stack is computed with a 1 in bit 47 and zeroes above it.
//
// What happens: the first PUSH raises #SS, and so does every delivery. A triple fault, whatever the IDT has.
//
// Where: everywhere.
//
// The cure: an address has bits 63 to 48 equal to bit 47: 0xFFFF8000... is where the upper half begins.

import Boot
import Processor

#if CURED
  let space = AddressSpace()
  space.pml4[256] = space.pml4[0]
  space.use()
  pushOnStack(0xffff_8000_0080_0000)
#else
  pushOnStack(0x0000_8000_0080_0000)
#endif
printLine("OK")
exit()
