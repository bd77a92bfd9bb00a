// A TSS where nothing is mapped.
//
// The mistake: the TSS's descriptor holds the address in the upper half that the kernel will have later on.
//
// What happens: LTR looks at the descriptor alone, so it goes well. The first interrupt from user mode cannot read
// RSP0: a page fault, and so at every one after it. A triple fault.
//
// Where: everywhere.
//
// The cure: map the TSS, or give the address where it is mapped.

import Boot
import Processor

AddressSpace(access: .user).use()
let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
interrupts.use()
#if CURED
  let state = TaskState()
  state.setSupervisorStack(0x120_0000)
#else
  let state = TaskState(at: 0xffff_ffff_8070_0000)
#endif
state.use()
InterruptController.remap(to: 32)
Timer.start()
// With interrupts, and IOPL 3: it may use the ports, and so can say how it went.
enterUserMode(
  address {
    while ticks() == 0 { pause() }
    printLine("OK")
    exit()
  }, 0x100_0000, 3 << 12 | 1 << 9)
