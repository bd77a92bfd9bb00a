// A selector for which the GDT has no descriptor.
//
// The mistake: code from another kernel loads DS with 38H, and this GDT ends before that.
//
// What happens: MOV to DS raises #GP with the selector as its error code. Without an IDT that becomes a triple
// fault.
//
// Where: everywhere.
//
// The cure: use the selectors that the GDT has.

import Boot
import Processor

#if CURED
  loadDataSegment(0x10)
#else
  loadDataSegment(0x48)
#endif
printLine("OK")
exit()
