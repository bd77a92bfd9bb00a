// Data executed as code.
//
// The mistake: a table of functions has grown by one, and the kernel calls what lies behind its end: a picture.
//
// What happens: sooner or later the bytes are no instruction: #UD. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: bring the number of entries and the table together.

import Boot
import Processor

let behindTheTable: UInt64 = 0x40_0000
#if CURED
  storeQuadword(behindTheTable, 0xc3)  // RET
#else
  storeQuadword(behindTheTable, 0x1e16_0e06)  // 64-bit mode has no instructions for these bytes
#endif
callAddress(behindTheTable)
printLine("OK")
exit()
