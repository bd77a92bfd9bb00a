// CS loaded with a data segment.
//
// The mistake: a new GDT has its descriptors in another order, and the far return that loads CS has the old number.
//
// What happens: LRET raises #GP with the selector as its error code. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: load CS with the selector of a 64-bit code segment.

import Boot
import Processor

#if CURED
  loadCodeSegment(0x8)
#else
  loadCodeSegment(0x10)
#endif
printLine("OK")
exit()
