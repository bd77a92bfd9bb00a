# A tick of the timer that the handler of double faults gets.
#
# The mistake: interrupts are on before the 8259 is set up anew, and all exceptions have a handler: #DF's reports what it takes for
# one, and halts.
#
# What happens: firmware left IRQ 0 on vector 8. The guest stops with interrupts off, after a "double fault" that never was; its handler found
# no error code on the stack, and nothing there is wrong.
#
# Where: everywhere.
#
# The cure: initialise both controllers with vectors above 31 before STI.

        .include "Boot/long.s"
        .include "Boot/pic.s"

        .code64
        .globl  main
main:
        .ifdef CURED
        remapControllers
        .endif
        startTimer
        lidt    wholeIDT
        setLongGate 8, doubleFault
        setLongGate 13, protectionFault
        setLongGate 32, tick
        sti
1:      hlt
        cmpl    $3, ticks
        jb      1b
        endWell

doubleFault:
protectionFault:
        cli
1:      hlt
        jmp     1b

tick:   push    %rax
        incl    ticks
        send    0x20, 0x20
        pop     %rax
        iretq

        .data
        .balign 8
wholeIDT:
        .word   48 * 16 - 1
        .quad   idt
ticks:  .long   0
