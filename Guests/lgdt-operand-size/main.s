# LGDT with an operand of 16 bits.
#
# The mistake: in 16-bit code, or with a prefix as here, LGDT takes 24 bits of the base and no more. A GDT above 16
# MiB is not found.
#
# What happens: LGDT succeeds. The far jump finds no code descriptor at the truncated address: #GP. Without an IDT
# that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: LGDTL, as `data32 lgdt` or `lgdtl` in 16-bit code; or the GDT below 16 MiB.

        .include "Boot/pvh.s"
        .include "Boot/end.s"

        .code32
        .globl  start
start:
        lidt    emptyIDTDescriptor      # no exception can be delivered: the first one is a triple fault
        mov     $gdt, %esi              # the loader has put it high up
        mov     $0x1800000, %edi
        mov     $6, %ecx
        rep movsl
        .ifdef CURED
        lgdt    gdtDescriptor
        .else
        lgdtw   gdtDescriptor
        .endif
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
        .word   3 * 8 - 1
        .long   0x1800000

        .section .rodata
emptyIDTDescriptor:
        .word   0
        .quad   0
