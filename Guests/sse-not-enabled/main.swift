// SSE before it is enabled.
//
// The mistake: a compiler uses SSE for copies and for floating point unless it is told not to (-mno-sse), and a
// processor comes up with SSE off.
//
// What happens: while CR4.OSFXSR is 0, MOVUPS raises #UD, though CPUID has SSE. Without an IDT that becomes a triple
// fault.
//
// Where: everywhere.
//
// The cure: set CR4.OSFXSR (bit 9) before the first such instruction, or build without SSE.

import Boot
import Processor

#if CURED
  writeCR4(readCR4() | 1 << 9)  // OSFXSR: what is missing without the cure
#endif
copy16Bytes(0x40_0000, 0x40_1000)
printLine("OK")
exit()
