# A segment register that nobody loaded.
#
# The mistake: the kernel sets up DS and SS and forgets ES, which another part of it has set to 0. String
# instructions write through ES.
#
# What happens: #GP with error code 0. Without an IDT that becomes a triple fault.
#
# Where: KVM and processors; TCG checks neither limits nor types of segments.
#
# The cure: load every segment register behind LGDT.

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
        mov     %eax, %es
        mov     %eax, %ss
        .ifndef CURED
        xor     %eax, %eax
        mov     %eax, %es
        .endif
        mov     $0x400000, %edi
        stosl
        endWell

        .section .rodata
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 0x08: 32-bit code
        .quad   0x00cf93000000ffff      # 0x10: data
        .quad   0x0040930080000fff      # 0x18: data, 4 KiB at 0x8000
gdtDescriptor:
        .word   . - gdt - 1
        .long   gdt

        .section .rodata
emptyIDTDescriptor:
        .word   0
        .quad   0
