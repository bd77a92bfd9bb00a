# BOUND, by which a compiler checks the index of an array.
#
# The mistake: the index is the number of elements, one too many.
#
# What happens: #BR. Without an IDT that becomes a triple fault.
#
# Where: everywhere; KVM's emulator, which is all that kvm_pvm has for protected mode, does not know the instruction.
#
# The cure: an index within the bounds.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        .ifdef CURED
        mov     $9, %eax
        .else
        mov     $10, %eax
        .endif
        bound   %eax, bounds
        endWell

        .section .rodata
bounds: .long   0, 9
        .text
