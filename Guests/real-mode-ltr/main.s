# LTR in real mode.
#
# The mistake: a boot sector sets up everything for protected mode, the task register too, before it sets CR0.PE.
#
# What happens: real mode has no LTR, LLDT and their kin: #UD, vector 6. The BIOS's handler returns to the same
# instruction, and so for ever; this one has vectors of its own whose limit ends before that, and so it is a triple
# fault.
#
# Where: everywhere.
#
# The cure: CR0.PE and the far jump first.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/real.s"

        lidtl   %cs:(emptyIDT - sector + 0x7c00)
        cli
        .ifndef CURED
        mov     $0x28, %ax
        ltr     %ax
        .endif
        endWell
emptyIDT:
        .word   0
        .long   0
endOfSector:
