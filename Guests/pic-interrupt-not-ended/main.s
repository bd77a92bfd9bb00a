# An interrupt of the 8259 that is never ended.
#
# The mistake: the timer's handler counts and returns; it does not send the end of interrupt.
#
# What happens: the interrupt stays in service, and the 8259 delivers neither it nor one of a lower priority any more: the first tick
# was the last. The guest waits for more of them for ever, in HLT with interrupts on.
#
# Where: everywhere.
#
# The cure: 20H to port 20H before IRETQ.

        .include "Boot/long.s"
        .include "Boot/pic.s"

        .code64
        .globl  main
main:
        remapControllers
        startTimer
        lidt    wholeIDT
        setLongGate 32, tick
        sti
1:      hlt
        cmpl    $3, ticks
        jb      1b
        endWell

tick:   push    %rax
        incl    ticks
        .ifdef CURED
        send    0x20, 0x20
        .endif
        pop     %rax
        iretq

        .data
        .balign 8
wholeIDT:
        .word   48 * 16 - 1
        .quad   idt
ticks:  .long   0
