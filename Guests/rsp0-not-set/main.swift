// A TSS without RSP0.
//
// The mistake: TR is loaded, but nobody filled in the stack for interrupts from user mode.
//
// What happens: RSP0 is 0; the first push goes to 0xFFFFFFFFFFFFFFF8, where nothing is mapped. A page fault, which
// needs RSP0 as well: a triple fault.
//
// Where: everywhere.
//
// The cure: set RSP0 whenever another thread runs.

import Boot
import Processor

AddressSpace(access: .user).use()
let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler())
interrupts.use()
let state = TaskState()
#if CURED
  state.setSupervisorStack(0x120_0000)
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
