// A bit of EFER that the processor does not have.
//
// The mistake: the guest sets EFER.NXE without asking for NX, CPUID.80000001H:EDX[20].
//
// What happens: on a processor without NX the bit is reserved, and WRMSR raises #GP. Without an IDT that becomes a triple
// fault.
//
// Where: KVM and every processor, with a model like -cpu qemu64,-nx. QEMU's TCG drops the bit and goes on.
//
// The cure: a model that has NX (-cpu qemu64), or a guest that asks CPUID first.

import Boot
import Processor

let efer: UInt32 = 0xc000_0080
#if CURED
  let hasNX = cpuid(0x8000_0001).edx & 1 << 20 != 0
#else
  let hasNX = true
#endif
if hasNX { writeMSR(efer, readMSR(efer) | 1 << 11) }
printLine("OK")
exit()
