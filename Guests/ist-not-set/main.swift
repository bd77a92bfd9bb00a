// A gate with a stack of the IST that is not there.
//
// The mistake: the gate asks for IST 1, and the TSS has 0 in its place.
//
// What happens: the first push goes to 0xFFFFFFFFFFFFFFF8, where nothing is mapped: a page fault that has no gate. A
// triple fault.
//
// Where: everywhere.
//
// The cure: fill in the TSS's stacks before gates ask for them.

import Boot
import Processor

let state = TaskState()
#if CURED
  state.setStack(1, 0x120_0000)
#endif
state.use()
let interrupts = InterruptTable()
interrupts[32] = Gate(to: tickHandler(), stack: 1)
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
enableInterrupts()
while ticks() == 0 { halt() }
printLine("OK")
exit()
