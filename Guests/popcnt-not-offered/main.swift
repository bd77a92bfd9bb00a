// Code for x86-64-v2 on a processor of x86-64.
//
// The mistake: compilers for -march=x86-64-v2 use POPCNT without asking CPUID, and distributions build for that.
//
// What happens: #UD. Without an IDT that becomes a triple fault.
//
// Where: TCG; KVM on a processor that lacks it. kvm_pvm cannot emulate POPCNT.
//
// The cure: `-cpu Nehalem` or later, or `-cpu qemu64,+popcnt`; or build for the processor.

import Boot
import Processor

#if CURED
  let ones = (0x40_0000 as UInt64).bitsSetOneByOne
#else
  let ones = countOnes(0x40_0000)
#endif
precondition(ones == 1)
printLine("OK")
exit()

extension UInt64 {
  var bitsSetOneByOne: UInt64 {
    var ones: UInt64 = 0
    for bit in 0..<64 { ones &+= self >> UInt64(bit) & 1 }
    return ones
  }
}
