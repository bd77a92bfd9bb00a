# An application processor that is started where no code is.
#
# The mistake: the vector of a startup IPI is the number of the page where the processor begins in real mode. This kernel
# gives the address of its trampoline in units of 64 KiB, as a segment divided by 100H would be.
#
# What happens: the second processor executes what lies there: zeroes, round and round in its segment. The first one waits
# for it for ever.
#
# Where: everywhere, with two processors or more.
#
# The cure: the trampoline's address shifted right by 12.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        mov     $trampoline, %esi
        mov     $0x8000, %edi
        mov     $(endOfTrampoline - trampoline), %ecx
        rep movsb
        movl    $0x1ff, 0xfee000f0      # the local APIC on (SVR)
        movl    $0x000c4500, 0xfee00300 # INIT to all others
        mov     $0x100000, %ecx
1:      pause
        loop    1b
        .ifdef CURED
        movl    $0x000c4608, 0xfee00300 # startup IPI: page 08H, 8000H
        .else
        movl    $0x000c4680, 0xfee00300 # page 80H, 80000H
        .endif
2:      pause
        cmpb    $0, 0x9000              # the second processor says that it is there
        je      2b
        endWell

        .code16
trampoline:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        movb    $1, 0x9000
1:      hlt
        jmp     1b
endOfTrampoline:
