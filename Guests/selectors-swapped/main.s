# The selectors of code and data mixed up.
#
# The mistake: this GDT has its data segment first, and the kernel loads SS with the selector of the other one, as in
# the tutorial it was copied from.
#
# What happens: SS needs writable data: #GP with the selector in the error code. Without an IDT that becomes a triple
# fault.
#
# Where: everywhere.
#
# The cure: the selectors of the GDT that is in force.

        .include "Boot/pvh.s"
        .include "Boot/end.s"

        .code32
        .globl  start
start:
        lidt    emptyIDTDescriptor      # no exception can be delivered: the first one is a triple fault
        lgdt    gdtDescriptor
        ljmp    $16, $loaded
loaded:
        .ifdef CURED
        mov     $8, %eax
        .else
        mov     $16, %eax
        .endif
        mov     %eax, %ss
        endWell

        .section .rodata
        .balign 8
gdt:    .quad   0
        .quad   0x00cf93000000ffff      # 0x08: data
        .quad   0x00cf9b000000ffff      # 0x10: 32-bit code
gdtDescriptor:
        .word   . - gdt - 1
        .long   gdt
emptyIDTDescriptor:
        .word   0
        .long   0
