// An interrupt that is never ended at the local APIC.
//
// The mistake: the handler of the APIC timer's interrupt counts and returns; it does not write the EOI register. (The PIC has a mode
// that ends interrupts by itself; the local APIC has none.)
//
// What happens: the interrupt stays in service (ISR). Nothing of the same or a lower priority is delivered any more: the first
// tick was the last. The guest waits for more of them for ever, in HLT with interrupts on.
//
// Where: TCG, and KVM with a processor's own virtualisation. Under kvm_pvm it was seen to come all the same.
//
// The cure: the handler writes 0 to the EOI register.

import Boot
import Processor

let space = AddressSpace()
space.mapAPICs()
space.use()
let interrupts = InterruptTable()
#if CURED
  interrupts[48] = Gate(to: apicTickHandler())
#else
  interrupts[48] = Gate(to: unendedTickHandler())
#endif
interrupts.use()
APIC.enable()
APIC.startTimer(vector: 48, count: 1_000_000)
enableInterrupts()
while ticks() < 100 { halt() }
printLine("OK")
exit()
