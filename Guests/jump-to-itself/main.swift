// A kernel that stops in a loop after a failure.
//
// The mistake: what a kernel does when it knows no better: `for (;;);`. Here because the archive with its programs
// is not where it should be.
//
// What happens: the guest hangs with its processor busy, at one instruction.
//
// Where: everywhere.
//
// The cure: say why before the loop; look at where it stands.

import Boot
import Processor

let archive: UInt64 = 0x40_0000
let magic: UInt64 = 0x3130_3730_3730  // "070701", as in cpio
#if CURED
  storeQuadword(archive, magic)
#endif
if loadQuadword(archive) != magic { stop() }
printLine("OK")
exit()
