// An interrupt that is ended at the controller alone.
//
// The mistake: the serial port's interrupt is level-triggered here, and its handler tells the PIC that it is done, but does not
// read what the UART wants to say: the UART goes on asking.
//
// What happens: the next interrupt comes before the processor has executed one more instruction. The guest hangs with its
// processor busy in the handler.
//
// Where: everywhere.
//
// The cure: the handler reads the UART's interrupt identification register.

import Boot
import Processor

let interrupts = InterruptTable()
#if CURED
  interrupts[36] = Gate(to: serialPortHandler())
#else
  interrupts[36] = Gate(to: tickHandler())
#endif
interrupts.use()
InterruptController.remap(to: 32)
outByte(0x4d0, 0x10)  // ELCR: IRQ 4 is level-triggered
outByte(0x21, 0xef)  // IRQ 4 alone
outByte(0x3fc, 0x0b)  // the UART may interrupt
outByte(0x3f9, 0x02)  // and does when it has sent everything
enableInterrupts()
printLine("OK")
exit()
