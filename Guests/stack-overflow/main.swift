// A recursion that does not end.
//
// The mistake: a function calls itself once too often. Below the stack is a page that is not mapped, as a guard.
//
// What happens: a CALL or a PUSH faults just below the stack. The handler of the page fault would need that stack
// too, so there is a double fault, and again: a triple fault.
//
// Where: everywhere.
//
// The cure: end the recursion. A stack of its own for the double fault (IST) lets the kernel at least say what
// happened.

import Boot
import Processor

let space = AddressSpace()
let pages = space.split(2)
pages[0x10] = []  // the guard
space.use()

let interrupts = InterruptTable()
interrupts[14] = Gate(to: endingHandler())
#if CURED
  let state = TaskState()
  state.setStack(1, 0x60_0000)
  state.use()
  interrupts[8] = Gate(to: endingHandler(), stack: 1)
#endif
interrupts.use()
recurseOnStack(0x41_3000)
