// A device's registers written by an instruction that KVM cannot emulate.
//
// The mistake: the compiler copies eight bytes to the screen through the x87 registers. Where KVM has to emulate the
// access, it knows only common instructions.
//
// What happens: KVM gives up: `KVM internal error. Suberror: 1`, emulation failure.
//
// Where: under KVM. TCG knows the instruction. kvm_pvm emulates whatever the guest's kernel executes, and dies
// already of the FLD.
//
// The cure: use MOV for devices (volatile accesses of 1, 2, 4 or 8 bytes).

import Boot
import Processor

writeCR0(readCR0() & ~(1 << 2 | 1 << 3))  // no EM, no TS: the x87 may be used
#if CURED
  storeQuadword(0xb_8000, loadQuadword(0x40_0000))
#else
  copyFloat64(0x40_0000, 0xb_8000)
#endif
printLine("OK")
exit()
