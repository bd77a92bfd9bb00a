// A system call through a gate of the kernel's.
//
// The mistake: the gate for INT 80H is made like all others, with DPL 0, and a program in user mode is to use it.
//
// What happens: #GP with the vector in the error code. Nobody handles it: a triple fault.
//
// Where: everywhere.
//
// The cure: DPL 3 in the gates that programs may use, and in no others.

import Boot
import Processor

AddressSpace(access: .user).use()
let interrupts = InterruptTable()
#if CURED
  interrupts[0x80] = Gate(to: endingHandler()).forUserMode
#else
  interrupts[0x80] = Gate(to: endingHandler())
#endif
interrupts.use()
let state = TaskState()
state.setSupervisorStack(0x120_0000)
state.use()
enterUserMode(address { softwareInterrupt() }, 0x100_0000, 0)
