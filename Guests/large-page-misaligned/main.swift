// A large page at a physical address where no large page can begin.
//
// The mistake: a 2 MiB page begins at a multiple of 2 MiB; bits 20 to 13 of its entry must be zero. This guest maps its
// heap where free memory happens to begin, 8 KiB too far: bit 13 is set.
//
// What happens: the first write to the heap is a page fault with CR2 = 0x400000; without an IDT, a triple fault.
//
// Where: everywhere.
//
// The cure: round the start of the heap to 2 MiB, or map it with 4 KiB pages.

import Boot
import Processor

#if CURED
  let heap: UInt64 = 0x40_0000
#else
  let heap: UInt64 = 0x40_2000  // the mistake
#endif

let directory = PageTable.directory(mappingGiBAt: 0)
directory[2] = [.page(heap), .present, .writable, .pageSize]
let pdpt = PageTable()
pdpt[0] = [.table(directory), .present, .writable]
let pml4 = PageTable()
pml4[0] = [.table(pdpt), .present, .writable]

writeCR3(pml4.address)
touch(0x40_0000)
printLine("OK")
exit()
