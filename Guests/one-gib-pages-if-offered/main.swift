// The cure of one-gib-pages inside the guest: ask whether the processor has 1 GiB pages, and fall back to 2 MiB pages.

import Boot
import Processor

/// CPUID.80000001H:EDX[26], which Linux calls pdpe1gb. A processor may lack the whole leaf: ask for the highest first.
let hasOneGiBPages = cpuid(0x8000_0000).eax >= 0x8000_0001 && cpuid(0x8000_0001).edx & 1 << 26 != 0

let pdpt = PageTable()
for gib in 0..<32 {
  let address = UInt64(gib) << 30
  if hasOneGiBPages {
    pdpt[gib] = [.page(address), .present, .writable, .pageSize]
  } else {
    pdpt[gib] = [.table(.directory(mappingGiBAt: address)), .present, .writable]
  }
}
let pml4 = PageTable()
pml4[0] = [.table(pdpt), .present, .writable]

writeCR3(pml4.address)
showOnScreen("H")
printLine("OK")
exit()
