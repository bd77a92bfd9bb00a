# INT3 to try out an IDT that has no gate for it.
#
# The mistake: the kernel fills the gates of #GP and #PF, and tries its handlers with a breakpoint, vector 3.
#
# What happens: the entry of vector 3 is empty: #GP. Its handler does not mend anything, and the guest says so.
#
# Where: everywhere; kvm_pvm cannot emulate INT3.
#
# The cure: a gate for #BP.

        .include "Boot/long.s"

        .code64
        .globl  main
main:
        lidt    idtDescriptor
        .ifdef CURED
        setLongGate 3, handler
        .endif
        int3
        endWell
handler:
        iretq
