// A program in user mode that uses a page of the kernel.
//
// The mistake: the kernel hands a program the address of its own data instead of a copy.
//
// What happens: a page fault with bit 2 of its error code set: an access from user mode. Nobody handles it: a triple
// fault.
//
// Where: everywhere.
//
// The cure: give the program memory of its own, with U/S set at every level.

import Boot
import Processor

let space = AddressSpace(access: .user)
#if CURED
#else
  space.directory[6].remove(.user)  // the kernel's data
#endif
space.use()

// IOPL 3: it may use the ports, and so can say how it went.
enterUserMode(
  address {
    touch(0xc0_0000)
    printLine("OK")
    exit()
  }, 0x100_0000, 3 << 12)
