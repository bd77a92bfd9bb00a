# A far return to load CS, without REX.W.
#
# The mistake: in 64-bit mode LRET takes 32 bits of RIP and of CS, and PUSH pushes 64. The assembler wants LRETQ
# (RETFQ in Intel's syntax).
#
# What happens: CS is taken from the upper half of RIP, which is 0: #GP. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: LRETQ.

        .include "Boot/long.s"

        .code64
        .globl  main
main:
        push    $8
        push    $there
        .ifdef CURED
        lretq
        .else
        lret
        .endif
there:  endWell
