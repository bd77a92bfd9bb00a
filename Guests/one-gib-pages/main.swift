// 1 GiB pages on a processor that may not have them.
//
// The mistake: bit 7 (PS) of a PDPT entry makes it a 1 GiB page only if CPUID.80000001H:EDX[26] says so. Where it does
// not, the bit is reserved. This guest never asks.
//
// What happens: from the write to CR3 on, no address can be translated. The next instruction cannot be fetched, and
// as there is no IDT either, the page fault becomes a triple fault. The entry is 0x83: P, RW, PS.
//
// Where: under KVM when it translates addresses itself (shadow paging: npt=0, ept=0, kvm_pvm), with a CPU model that
// has no pdpe1gb, such as Haswell; before Linux 5.14 also when it emulates an instruction. QEMU's TCG forgives it.
//
// The cure: `-cpu Haswell,+pdpe1gb` or a model that has it (Skylake-Server), if the host offers it; else a guest that
// asks first (one-gib-pages-if-offered), or one that does without (two-mib-pages).

import Boot
import Processor

// The first 32 GiB, mapped to themselves.
let pdpt = PageTable()
for gib in 0..<32 {
  pdpt[gib] = [.page(UInt64(gib) << 30), .present, .writable, .pageSize]  // the mistake
}
let pml4 = PageTable()
pml4[0] = [.table(pdpt), .present, .writable]

writeCR3(pml4.address)
showOnScreen("H")
printLine("OK")
exit()
