// An instruction of a newer processor than the guest's.
//
// The mistake: MOVBE came with Haswell (CPUID.01H:ECX[22]); it is part of x86-64-v3, so a compiler that builds for that
// level, or for the machine it runs on, uses it without asking.
//
// What happens: on a processor model without it MOVBE raises #UD, which without an IDT becomes a triple fault.
//
// Where: TCG, and KVM where it emulates the instruction (kvm_pvm does all). A processor that has MOVBE executes it under
// EPT, NPT or shadow paging, whatever the guest's CPUID says.
//
// The cure: a model that has it (-cpu qemu64,+movbe), or a guest that does without: BSWAP is as old as the 486.

import Boot
import Processor

let inNetworkOrder: UInt32 = 0x7f00_0001
#if CURED
  let address = inNetworkOrder.byteSwapped
#else
  let address = loadBigEndian(inNetworkOrder)
#endif
if address == 0x0100_007f { printLine("OK") }
exit()
