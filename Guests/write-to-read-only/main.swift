// A write to a page that is mapped read-only.
//
// The mistake: the kernel protects its code and its constants, sets CR0.WP so that it is bound by this itself, and
// then patches one of them.
//
// What happens: a page fault with bits 0 and 1 of its error code set: the page is present, the access a write.
// Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: make the page writable while it is patched, or clear CR0.WP meanwhile.

import Boot
import Processor

let space = AddressSpace()
let constants = 0x60_0000 as UInt64
#if CURED
#else
  space.directory[3].remove(.writable)
#endif
space.use()
writeCR0(readCR0() | 1 << 16)  // WP
touch(constants)
printLine("OK")
exit()
