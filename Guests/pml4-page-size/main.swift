// The page-size bit in a table that has no pages.
//
// The mistake: the flags of a large page, given to every entry on the way to it. Bit 7 (PS) is reserved in a PML4
// entry: there are no pages of 512 GiB.
//
// What happens: the instruction after the write to CR3 cannot be fetched; without an IDT that is a triple fault.
//
// Where: everywhere.
//
// The cure: set PS in the entry that maps the page, and nowhere above it.

import Boot
import Processor

let pdpt = PageTable()
pdpt[0] = [.table(.directory(mappingGiBAt: 0)), .present, .writable]
let pml4 = PageTable()
#if CURED
  pml4[0] = [.table(pdpt), .present, .writable]
#else
  pml4[0] = [.table(pdpt), .present, .writable, .pageSize]  // the mistake
#endif

writeCR3(pml4.address)
printLine("OK")
exit()
