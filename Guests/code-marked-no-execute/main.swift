// Code in a page that is marked no-execute.
//
// The mistake: the kernel marks everything but its own image no-execute, and then calls a module that it has loaded
// behind it.
//
// What happens: a page fault with bit 4 of its error code set: an instruction fetch. Without an IDT that becomes a
// triple fault.
//
// Where: everywhere.
//
// The cure: clear XD in the entries of pages that hold code.

import Boot
import Processor

let space = AddressSpace()
for page in 1..<512 { space.directory[page].insert(.noExecute) }
#if CURED
  space.directory[4].remove(.noExecute)
#endif
let efer: UInt32 = 0xc000_0080
writeMSR(efer, readMSR(efer) | 1 << 11)  // NXE
space.use()

let module: UInt64 = 0x80_0000
storeQuadword(module, 0xc3)  // RET
callAddress(module)
printLine("OK")
exit()
