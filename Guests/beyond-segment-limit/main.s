# An access behind the end of a segment.
#
# The mistake: the segment for a buffer has the limit of one page, and the buffer has grown.
#
# What happens: #GP with error code 0. Without an IDT that becomes a triple fault.
#
# Where: KVM and processors; TCG checks neither limits nor types of segments.
#
# The cure: a limit that fits, or flat segments.

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
        mov     $0x18, %eax
        mov     %eax, %es
        .ifdef CURED
        mov     $0xffc, %edi
        .else
        mov     $0x1000, %edi
        .endif
        mov     %eax, %es:(%edi)
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
