// An interrupt while the stack pointer is no stack.
//
// The mistake: code that uses no stack takes RSP for something else, and forgets that interrupts are on.
//
// What happens: the timer's interrupt comes, and its frame cannot be pushed: a page fault, which needs the same stack, a
// double fault, and a triple fault.
//
// Where: everywhere.
//
// The cure: interrupts off as long as RSP is no stack, or a stack of its own for the interrupt (IST).

import Boot
import Processor

let space = AddressSpace()
space.directory[2] = []  // 4 MiB to 6 MiB: nothing
space.use()
let interrupts = InterruptTable()
for vector in [13, 14, 8, 32] { interrupts[vector] = Gate(to: endingHandler()) }
#if CURED
  let state = TaskState()
  state.setStack(1, 0x120_0000)
  state.use()
  interrupts[32] = Gate(to: endingHandler(), stack: 1)
#endif
interrupts.use()
InterruptController.remap(to: 32)
Timer.start()
waitOnStack(0x50_0000)
