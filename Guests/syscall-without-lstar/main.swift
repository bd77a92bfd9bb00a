// SYSCALL before LSTAR is set.
//
// The mistake: EFER.SCE is set early, LSTAR by a driver that comes later.
//
// What happens: SYSCALL goes to address 0, where nothing is mapped. A page fault with RIP = 0, and its handler is
// not there either.
//
// Where: everywhere.
//
// The cure: set STAR, LSTAR and FMASK before the first program runs.

import Boot
import Processor

let space = AddressSpace(access: .user)
let firstPages = space.split(0)
firstPages[0] = []
space.use()
let efer: UInt32 = 0xc000_0080
writeMSR(efer, readMSR(efer) | 1)  // SCE
writeMSR(0xc000_0081, 0x10 << 48 | 0x08 << 32)  // STAR
#if CURED
  writeMSR(0xc000_0082, endingHandler())  // LSTAR
#endif
enterUserMode(address { systemCall() }, 0x100_0000, 0)
