// The state of AVX enabled on a processor without AVX.
//
// The mistake: XSAVE does not imply AVX. The guest turns on CR4.OSXSAVE and then x87, SSE and AVX in XCR0 without asking
// which of them CPUID.(EAX=0DH,ECX=0):EAX allows.
//
// What happens: XSETBV raises #GP for the bit of AVX, which is reserved. Without an IDT that becomes a triple fault.
//
// Where: everywhere, with a model like -cpu SandyBridge,-avx.
//
// The cure: a model that has AVX (-cpu SandyBridge), or a guest that asks CPUID first.

import Boot
import Processor

#if CURED
  let components = cpuid(0xd).eax & 7
#else
  let components: UInt32 = 7  // x87, SSE, AVX
#endif
writeCR4(readCR4() | 1 << 9 | 1 << 18)  // OSFXSR, OSXSAVE
writeXCR0(UInt64(components))
printLine("OK")
exit()
