// A level-triggered interrupt of the I/O APIC that is ended at the local APIC alone.
//
// The mistake: the handler of the serial port's interrupt sends the end of interrupt, but does not read what the UART wants to say:
// the line stays asserted.
//
// What happens: the end of interrupt has the I/O APIC look at the line, and send the same interrupt again. A real processor gets no
// further. QEMU and KVM let the guest run for 10 ms after each 10000 of them: it lives, and is slow.
//
// Where: on real hardware.
//
// The cure: the handler reads the UART's interrupt identification register.

import Boot
import Processor

let space = AddressSpace()
space.mapAPICs()
space.use()
let interrupts = InterruptTable()
#if CURED
  interrupts[36] = Gate(to: apicSerialPortHandler())
#else
  interrupts[36] = Gate(to: apicTickHandler())
#endif
interrupts.use()
APIC.enable()
APIC.route(pin: 4, to: 36, levelTriggered: true)
outByte(0x3fc, 0x0b)  // the UART may interrupt
outByte(0x3f9, 0x02)  // and does when it has sent everything
enableInterrupts()
for _ in 0..<10_000_000 { pause() }
printLine("OK")
exit()
