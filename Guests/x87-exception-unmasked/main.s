# An x87 exception that is not masked, and has no handler.
#
# The mistake: the control word is loaded with the mask of division by zero clear.
#
# What happens: the division leaves the exception pending; the next x87 instruction that waits raises it: #MF. Without an IDT that
# becomes a triple fault.
#
# Where: everywhere.
#
# The cure: the control word as FNINIT leaves it, with all exceptions masked.

        .include "Boot/long.s"

        .code64
        .globl  main
main:
        lidt    emptyIDT
        mov     %cr0, %rax
        and     $~(1 << 2), %eax        # CR0.EM
        or      $(1 << 5), %eax         # CR0.NE
        mov     %rax, %cr0
        fninit
        .ifndef CURED
        fldcw   control
        .endif
        fld1
        fldz
        fdivrp
        fwait
        endWell

        .data
        .balign 8
emptyIDT:
        .word   0
        .quad   0
control:
        .word   0x37b
