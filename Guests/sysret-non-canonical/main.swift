// SYSRET to an address that is none.
//
// The mistake: the address to return to comes from the program, and is not checked. Right behind the last page of
// the lower half is the first address that is none.
//
// What happens: on Intel's processors SYSRET raises #GP while still in the kernel; on AMD's it returns, and the
// fetch raises #GP. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: check the address before SYSRET, or return by IRET.

import Boot
import Processor

AddressSpace(access: .user).use()
let efer: UInt32 = 0xc000_0080
let star: UInt32 = 0xc000_0081
writeMSR(efer, readMSR(efer) | 1)  // SCE
writeMSR(star, 0x10 << 48 | 0x08 << 32)

#if CURED
  let program = address {
    printLine("OK")
    exit()
  }
#else
  let program: UInt64 = 0x0000_8000_0000_0000
#endif
// IOPL 3: the program may use the ports, and so can say how it went.
returnFromSystemCall(program, 3 << 12)
