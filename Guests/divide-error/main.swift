// A division by zero.
//
// The mistake: a driver computes the size of a disk from what the disk says of itself, and the disk says 0 heads.
//
// What happens: DIV raises #DE. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: check the divisor.

import Boot
import Processor

#if CURED
  let heads: UInt32 = 16
#else
  let heads: UInt32 = 0
#endif
_ = divideUnchecked(1024, heads)
printLine("OK")
exit()
