// Executing where no memory is.
//
// The mistake: the kernel copies itself to 512 MiB, and the machine has 128.
//
// What happens: the copy is lost, and what is fetched there is no code.
//
// Where: everywhere.
//
// The cure: take the size of memory from the memory map; or `-m 1024`.

import Boot
import Processor

#if CURED
  let entry: UInt64 = 0x40_0000
#else
  let entry: UInt64 = 512 << 20
#endif
storeQuadword(entry, 0xc3)  // RET: the kernel
callWithArgument(entry, 0xffff_8000_0000_0000)
printLine("OK")
exit()
