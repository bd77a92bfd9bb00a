// A jump to where the kernel should have been loaded.
//
// The mistake: the loader jumps to the kernel's entry, and nothing was loaded there: wrong address, or the read
// failed and nobody looked.
//
// What happens: memory that nobody wrote is zeroes, and two of them are ADD [RAX], AL. RAX is no mapped address
// here, so the first one is a page fault. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: check what was read before it is jumped to.

import Boot
import Processor

let entry: UInt64 = 0x40_0000
#if CURED
  storeQuadword(entry, 0xc3)  // RET: the kernel
#endif
callWithArgument(entry, 0xffff_8000_0000_0000)
printLine("OK")
exit()
