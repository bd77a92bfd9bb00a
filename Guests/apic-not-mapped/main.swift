// A device's registers that nobody mapped.
//
// The mistake: the local APIC's registers are at 0xFEE00000, and this kernel has mapped the first GiB only.
//
// What happens: a page fault with CR2 = 0xFEE000F0. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: map the page, best as uncacheable (PCD).

import Boot
import Processor

let space = AddressSpace()
#if CURED
  space.pdpt[3] = [.table(.directory(mappingGiBAt: 3 << 30)), .present, .writable]
#endif
space.use()
_ = loadQuadword(0xfee0_00f0)  // the spurious interrupt vector register
printLine("OK")
exit()
