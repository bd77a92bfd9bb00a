// A kernel that panics and says so.
//
// The mistake: the kernel finds itself without a root file system, and tells QEMU through its pvpanic device, as
// Linux does.
//
// What happens: QEMU pauses the guest, or ends: the guest has decided so itself.
//
// Where: everywhere, with `-device pvpanic`.
//
// The cure: what the kernel printed before says what is missing.

import Boot
import Processor

#if CURED
#else
  printLine("panic: no root file system")
  outByte(0x505, 1)  // PVPANIC_PANICKED
  disableInterruptsAndHalt()
#endif
printLine("OK")
exit()
