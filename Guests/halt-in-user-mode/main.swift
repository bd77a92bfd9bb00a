// HLT in user mode.
//
// The mistake: the idle loop, once moved into a program, still waits by HLT, which only the kernel may execute.
//
// What happens: #GP with error code 0. Nobody handles it: a triple fault.
//
// Where: everywhere.
//
// The cure: wait by a system call.

import Boot
import Processor

AddressSpace(access: .user).use()
// IOPL 3: it may use the ports, and so can say how it went.
enterUserMode(
  address {
    #if CURED
      pause()
    #else
      halt()
    #endif
    printLine("OK")
    exit()
  }, 0x100_0000, 3 << 12)
