# A frame for IRETQ that is pushed in the wrong order.
#
# The mistake: IRETQ pops RIP, CS, RFLAGS, RSP and SS in this order, so that SS is pushed first. This kernel pushes RIP
# first.
#
# What happens: CS is taken from RSP: #GP. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: the opposite order.

        .include "Boot/long.s"

        .code64
        .globl  main
main:
        mov     %rsp, %rax
        .ifdef CURED
        push    $16
        push    %rax
        push    $2
        push    $8
        push    $there
        .else
        push    $there
        push    $8
        push    $2
        push    %rax
        push    $16
        .endif
        iretq
there:  endWell
