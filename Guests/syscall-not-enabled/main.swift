// SYSCALL without EFER.SCE.
//
// The mistake: STAR and LSTAR are set; that SYSCALL has to be switched on as well was overlooked.
//
// What happens: #UD in user mode. Nobody handles it: a triple fault.
//
// Where: everywhere.
//
// The cure: set EFER.SCE (bit 0).

import Boot
import Processor

AddressSpace(access: .user).use()
#if CURED
  let efer: UInt32 = 0xc000_0080
  writeMSR(efer, readMSR(efer) | 1)  // SCE
#endif
writeMSR(0xc000_0081, 0x10 << 48 | 0x08 << 32)  // STAR
writeMSR(0xc000_0082, endingHandler())  // LSTAR
enterUserMode(address { systemCall() }, 0x100_0000, 0)
