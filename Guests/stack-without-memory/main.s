# A stack in the hole below 4 GiB.
#
# The mistake: the memory map has a hole for devices, which this kernel maps and takes for memory.
#
# What happens: what is pushed is lost. The first return finds no address there but 0, and real mode's vectors are executed.
#
# Where: everywhere; under KVM the emulator has to make each access, and takes the return there.
#
# The cure: a stack in memory that the machine has.

        .include "Boot/long.s"

        .code64
        .globl  main
main:
        movq    $holeTable + 3, bootPDPT + 8 * 3
        movl    $0xd0000083, holeTable + 8 * 128
        .ifndef CURED
        mov     $0xd0100000, %esp
        .endif
        call    service
        endWell
service:
        ret

        .bss
        .balign 4096
holeTable:
        .space  4096
        .text
