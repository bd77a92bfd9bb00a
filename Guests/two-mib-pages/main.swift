// The twin of one-gib-pages that works everywhere: the same 32 GiB in pages of 2 MiB, which every x86-64 processor has.
// It costs 32 page directories, 128 KiB of memory.

import Boot
import Processor

let pdpt = PageTable()
for gib in 0..<32 {
  let directory = PageTable.directory(mappingGiBAt: UInt64(gib) << 30)
  pdpt[gib] = [.table(directory), .present, .writable]
}
let pml4 = PageTable()
pml4[0] = [.table(pdpt), .present, .writable]

writeCR3(pml4.address)
showOnScreen("H")
printLine("OK")
exit()
