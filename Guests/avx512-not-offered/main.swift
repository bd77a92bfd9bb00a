// A processor model with AVX-512, on a host that cannot offer it.
//
// The mistake: -cpu Skylake-Server promises AVX-512, and QEMU starts the guest though the host, or TCG, does not have it;
// it says so in a warning that is easily lost. The guest believes the model's name.
//
// What happens: the first write that enables the state (CR4.OSXSAVE where there is not even XSAVE, else XSETBV) raises
// #GP. Without an IDT that becomes a triple fault.
//
// Where: TCG, and KVM on every host whose processor lacks AVX-512.
//
// The cure: a host that can; enforce makes QEMU refuse to start elsewhere. Or a guest that asks CPUID first.

import Boot
import Processor

#if CURED
  let hasXSAVE = cpuid(1).ecx & 1 << 26 != 0
  let hasAVX512F = hasXSAVE && cpuid(7).ebx & 1 << 16 != 0
#else
  let hasAVX512F = true
#endif
if hasAVX512F {
  writeCR4(readCR4() | 1 << 9 | 1 << 18)  // OSFXSR, OSXSAVE
  writeXCR0(0xe7)  // x87, SSE, AVX, and the three parts of AVX-512
  clearZMM0()
}
printLine("OK")
exit()
