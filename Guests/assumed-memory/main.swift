// A table where there is no memory.
//
// The mistake: the kernel takes for granted that there are 512 MiB, and puts its page tables near the end of them.
// QEMU's default is 128 MiB.
//
// What happens: writes to where there is no memory are lost, and what is read there is no table. With the new CR3,
// the next instruction cannot be fetched. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: take the size of memory from the memory map; or `-m 512`.

import Boot
import Processor

#if CURED
  let end: UInt64 = 128 << 20
#else
  let end: UInt64 = 512 << 20
#endif
let space = AddressSpace()
let pdpt = PageTable(at: end - 0x20_0000)
pdpt[0] = [.table(space.directory), .present, .writable]
space.pml4[0] = [.table(pdpt), .present, .writable]
space.use()
printLine("OK")
exit()
