// User mode without a TSS.
//
// The mistake: an interrupt in user mode changes to the stack that the TSS names, and this kernel has never loaded
// TR.
//
// What happens: the processor takes RSP0 from wherever TR was left to point, which is address 0 after a reset, and
// pushes there. A triple fault.
//
// Where: everywhere.
//
// The cure: a TSS with RSP0, a descriptor for it, and LTR.

import Boot
import Processor

AddressSpace(access: .user).use()
let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
interrupts.use()
#if CURED
  let state = TaskState()
  state.setSupervisorStack(0x120_0000)
  state.use()
#endif
InterruptController.remap(to: 32)
Timer.start()
// With interrupts, and IOPL 3: it may use the ports, and so can say how it went.
enterUserMode(
  address {
    while ticks() == 0 { pause() }
    printLine("OK")
    exit()
  }, 0x100_0000, 3 << 12 | 1 << 9)
