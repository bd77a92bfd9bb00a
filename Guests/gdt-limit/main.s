# A GDT whose limit counts entries.
#
# The mistake: LGDT takes the offset of the table's last byte, 8 times the number of entries less 1. This kernel gives
# the number of entries.
#
# What happens: the far jump that loads CS finds its descriptor beyond the limit: #GP with the selector in the error
# code. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: the limit in bytes, less 1.

        .include "Boot/pvh.s"
        .include "Boot/end.s"

        .code32
        .globl  start
start:
        lidt    emptyIDTDescriptor      # no exception can be delivered: the first one is a triple fault
        lgdt    gdtDescriptor
        ljmp    $8, $loaded
loaded:
        mov     $16, %eax
        mov     %eax, %ds
        endWell

        .section .rodata
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 0x08: 32-bit code
        .quad   0x00cf93000000ffff      # 0x10: data
gdtDescriptor:
        .ifdef CURED
        .word   3 * 8 - 1
        .else
        .word   3
        .endif
        .long   gdt
emptyIDTDescriptor:
        .word   0
        .long   0
