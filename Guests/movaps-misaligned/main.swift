// MOVAPS at an address that is no multiple of 16.
//
// The mistake: the compiler takes the stack for aligned to 16 bytes, as the ABI says, and the assembly that calls it
// did not see to that.
//
// What happens: #GP with error code 0. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: align RSP to 16 bytes before a CALL.

import Boot
import Processor

writeCR4(readCR4() | 1 << 9)  // OSFXSR
#if CURED
  loadAligned16Bytes(0x40_0010)
#else
  loadAligned16Bytes(0x40_0008)
#endif
printLine("OK")
exit()
