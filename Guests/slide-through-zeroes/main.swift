// Executing zeroes until they end.
//
// The mistake: a function's address is right but its page was not copied. The processor executes zeroes, each pair
// of them ADD [RAX], AL, to the end of what is mapped.
//
// What happens: a page fault at a fetch, far from anything. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: look at what leads there; all registers but RIP are as they were at the jump.

import Boot
import Processor

let space = AddressSpace()
for page in 2..<512 { space.directory[page] = [] }  // 4 MiB are enough for this kernel
space.use()
let function: UInt64 = 0x3f_f000
#if CURED
  storeQuadword(function, 0xc3)  // RET
#endif
callAddress(function)
printLine("OK")
exit()
