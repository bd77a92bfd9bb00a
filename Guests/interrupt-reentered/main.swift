// A handler that lets interrupts in before the device is served.
//
// The mistake: the serial port's interrupt is level-triggered here. Its handler ends it at the PIC and turns interrupts
// on, and only then reads what the UART wants.
//
// What happens: the interrupt comes again at once, on top of its own frame, and again, until the stack is used up. Below
// the stack is a page that is not mapped. A triple fault.
//
// Where: everywhere.
//
// The cure: serve the device first.

import Boot
import Processor

let space = AddressSpace()
let pages = space.split(2)
pages[0x10] = []  // the guard
space.use()
let interrupts = InterruptTable()
#if CURED
  interrupts[36] = Gate(to: serialPortHandler())
#else
  interrupts[36] = Gate(to: nestingSerialPortHandler())
#endif
interrupts.use()
InterruptController.remap(to: 32)
outByte(0x4d0, 0x10)  // ELCR: IRQ 4 is level-triggered
outByte(0x21, 0xef)  // IRQ 4 alone
outByte(0x3fc, 0x0b)  // the UART may interrupt
outByte(0x3f9, 0x02)  // and does when it has sent everything
#if CURED
  enableInterrupts()
  printLine("OK")
  exit()
#else
  waitOnStack(0x41_3000)
#endif
