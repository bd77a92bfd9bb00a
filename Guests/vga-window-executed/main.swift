// Executing the VGA screen.
//
// The mistake: the kernel is loaded at 640 KiB, where a PC has no memory but the video card's window.
//
// What happens: what was written there is gone, and what is executed is what the card gives back.
//
// Where: everywhere.
//
// The cure: load the kernel at 1 MiB or above.

import Boot
import Processor

#if CURED
  let entry: UInt64 = 0x40_0000
#else
  let entry: UInt64 = 0xa_0000
#endif
storeQuadword(entry, 0xc3)  // RET: the kernel
callWithArgument(entry, 0xffff_8000_0000_0000)
printLine("OK")
exit()
