// A hypervisor whose guest takes the whole machine with it.
//
// The mistake: the guest's guest writes to a page that its tables do not map, and has no IDT. And the hypervisor does not
// intercept shutdown, so that the triple fault is the machine's.
//
// What happens: the processor shuts down while it runs the nested guest. The registers are then the nested guest's, and
// what it calls physical memory is elsewhere: its 0 is the hypervisor's 4000000H.
//
// Where: everywhere with SVM (`-cpu EPYC` under kvm_amd with nested=1; `-cpu EPYC` under TCG).
//
// The cure: map the page; and intercept shutdown, so that the hypervisor outlives its guest.

import Boot
import Processor

let machine = VirtualMachine(block: 0x600_0000, memory: 0x400_0000, pageCount: 1)
// Its tables, at the addresses by which it knows them: 2 MiB, mapped to themselves.
machine.store(0x2003, at: 0x1000)
machine.store(0x3003, at: 0x2000)
machine.store(0x83, at: 0x3000)
machine.setLongMode(cr3: 0x1000, rip: 0x8000, rsp: 0x1_0000)
// movb $1, 0x400000: an address that they do not map.
machine.store(0x0100_4000_0025_04c6, at: 0x8000)
#if CURED
  machine.interceptShutdown()
#endif
// Shutdown is exit code 7FH (APM vol. 2, appendix C).
if machine.run(saveArea: 0x601_0000) == 0x7f { printLine("OK") }
exit()
