// A call with a stack pointer that is not aligned.
//
// The mistake: the ABI promises each function that RSP + 8 is a multiple of 16 at its first instruction, and compilers rely
// on it: they save SSE registers with MOVAPS. This kernel's entry code calls its first function with 8 bytes too many on the
// stack.
//
// What happens: #GP with error code 0 at the MOVAPS. Nobody handles it: a triple fault.
//
// Where: everywhere.
//
// The cure: RSP at a multiple of 16 before each CALL.

import Boot
import Processor

writeCR4(readCR4() | 3 << 9)  // OSFXSR and OSXMMEXCPT
#if CURED
  callOnStack(0x100_0000)
#else
  callOnStack(0x100_0008)
#endif
printLine("OK")
exit()
