// Code for x86-64-v3 on a processor of x86-64.
//
// The mistake: the kernel is compiled with -march=x86-64-v3 (or Swift's -target-cpu), and runs with QEMU's default model.
//
// What happens: #UD at the first instruction of BMI1. Nobody handles it: a triple fault.
//
// Where: TCG, and processors that lack it.
//
// The cure: another CPU model, or code for x86-64.

import Boot
import Processor

#if CURED
  let rest: UInt64 = 0xff & ~0x0f
#else
  let rest = clearBits(0xff, 0x0f)
#endif
if rest == 0xf0 { printLine("OK") }
exit()
