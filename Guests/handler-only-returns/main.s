# One handler for all vectors, which only returns.
#
# The mistake: the same handler for interrupts and for exceptions: it sends the end of interrupt and returns.
#
# What happens: for a fault, the return address is the instruction that raised it. A division by zero is made again and again.
#
# Where: everywhere.
#
# The cure: handlers of exceptions that report and stop; here, the divisor is not 0.

        .include "Boot/long.s"

        .code64
        .globl  main
main:
        lidt    idtDescriptor
        setLongGate 0, ignore
        setLongGate 6, ignore
        mov     $100, %eax
        xor     %edx, %edx
        .ifdef CURED
        mov     $10, %ecx
        .else
        xor     %ecx, %ecx
        .endif
        div     %ecx
        endWell

ignore: push    %rax
        mov     $0x20, %al
        outb    %al, $0x20
        pop     %rax
        iretq
