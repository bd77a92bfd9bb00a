// A hypervisor that gives its guest less memory than the guest was told.
//
// The mistake: the guest's guest was told of 4 MiB, and the hypervisor's nested tables map 2. It does not know what to do
// with the nested page fault, and panics.
//
// What happens: the nested guest's access to its physical address 200000H ends it with #VMEXIT(NPF), exit code 400H. The
// hypervisor's panic is a UD2, and without an IDT a triple fault.
//
// Where: everywhere with SVM (`-cpu EPYC` under kvm_amd with nested=1; `-cpu EPYC` under TCG).
//
// The cure: map all of the memory.

import Boot
import Processor

#if CURED
  let machine = VirtualMachine(block: 0x600_0000, memory: 0x400_0000, pageCount: 2)
#else
  let machine = VirtualMachine(block: 0x600_0000, memory: 0x400_0000, pageCount: 1)
#endif
// Its tables, at the addresses by which it knows them: 4 MiB, mapped to themselves.
machine.store(0x2003, at: 0x1000)
machine.store(0x3003, at: 0x2000)
machine.store(0x83, at: 0x3000)
machine.store(0x20_0083, at: 0x3008)
machine.setLongMode(cr3: 0x1000, rip: 0x8000, rsp: 0x1_0000)
machine.interceptShutdown()
// movb $1, 0x200000; UD2, the end of it, for want of an IDT.
machine.store(0x0100_2000_0025_04c6, at: 0x8000)
machine.store(0x0b0f, at: 0x8008)
let exitCode = machine.run(saveArea: 0x601_0000)
if exitCode != 0x7f { fatalError() }
printLine("OK")
exit()
