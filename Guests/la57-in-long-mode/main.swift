// Five-level paging turned on while four-level paging is in use.
//
// The mistake: CR4.LA57 (bit 12) chooses between the two when long mode begins; it cannot change while long mode is active.
//
// What happens: MOV to CR4 raises #GP, whether or not the processor has five-level paging. Without an IDT that becomes a
// triple fault.
//
// Where: everywhere.
//
// The cure: turn paging off first, which takes 32-bit code; or set LA57 before paging is turned on for the first time.

import Boot
import Processor

#if CURED
  // Four-level paging it is, then.
#else
  writeCR4(readCR4() | 1 << 12)
#endif
printLine("OK")
exit()
