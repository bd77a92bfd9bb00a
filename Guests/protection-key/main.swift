// A page whose protection key PKRU forbids.
//
// The mistake: the pages of one part of a program get a key, and PKRU, which comes up as 0, is set to forbid every
// key but that of the other part.
//
// What happens: a page fault with bit 5 of its error code set. Without an IDT that becomes a triple fault.
//
// Where: everywhere, where -cpu has PKU.
//
// The cure: allow the key in PKRU before the part is entered.

import Boot
import Processor

let space = AddressSpace(access: .user)
space.directory[4].insert(.protectionKey(3))
space.use()
writeCR4(readCR4() | 1 << 22)  // PKE

#if CURED
  writePKRU(0)
#else
  writePKRU(0b11 << 6)  // neither read nor write with key 3
#endif
touch(0x80_0000)
printLine("OK")
exit()
