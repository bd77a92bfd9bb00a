// A mark of the guest's own in a bit that is not the guest's.
//
// The mistake: software may keep marks of its own in bits 52 to 58 of an entry. This guest takes bit 51, one too low:
// it belongs to the physical address, and is reserved from MAXPHYADDR (CPUID.80000008H:EAX[7:0]) up to bit 51.
//
// What happens: the instruction after the write to CR3 cannot be fetched; without an IDT that is a triple fault.
//
// Where: on every processor with less than 52 address bits. QEMU's default is 40 (`phys-bits`).
//
// The cure: a bit that the processor ignores.

import Boot
import Processor

#if CURED
  let ownedByKernel = PageTableEntry(rawValue: 1 << 52)
#else
  let ownedByKernel = PageTableEntry(rawValue: 1 << 51)  // the mistake
#endif

let directory = PageTable.directory(mappingGiBAt: 0)
for page in 0..<512 { directory[page].insert(ownedByKernel) }
let pdpt = PageTable()
pdpt[0] = [.table(directory), .present, .writable]
let pml4 = PageTable()
pml4[0] = [.table(pdpt), .present, .writable]

writeCR3(pml4.address)
printLine("OK")
exit()
