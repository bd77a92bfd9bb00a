// No-execute pages, but nobody told the processor.
//
// The mistake: bit 63 of an entry means "no execute" only once EFER.NXE is set. Until then the bit is reserved.
//
// What happens: the code page has no such bit, so the guest runs on until it touches its first page of data, and dies
// there of a page fault with CR2 = 0x400000, which without an IDT becomes a triple fault.
//
// Where: everywhere.
//
// The cure: set EFER.NXE before the tables come into use.

import Boot
import Processor

// The image lies within the first 2 MiB. What follows is data, and data should not be executed.
let directory = PageTable.directory(mappingGiBAt: 0)
for page in 1..<512 { directory[page].insert(.noExecute) }
let pdpt = PageTable()
pdpt[0] = [.table(directory), .present, .writable]
let pml4 = PageTable()
pml4[0] = [.table(pdpt), .present, .writable]

#if CURED
  let efer: UInt32 = 0xc000_0080
  writeMSR(efer, readMSR(efer) | 1 << 11)  // NXE: what is missing without the cure
#endif
writeCR3(pml4.address)
touch(0x40_0000)
printLine("OK")
exit()
