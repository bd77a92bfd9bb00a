// A pointer that is no address.
//
// The mistake: the kernel keeps a mark in the upper bits of its pointers, and uses one without taking the mark off.
//
// What happens: #GP with error code 0; CR2 says nothing. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: take the mark off, or use LAM where the processor has it.

import Boot
import Processor

let marked: UInt64 = 0xdead_0000_0080_0000
#if CURED
  _ = loadQuadword(marked & 0xffff_ffff)
#else
  _ = loadQuadword(marked)
#endif
printLine("OK")
exit()
