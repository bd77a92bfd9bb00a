# A far jump to 64-bit mode through the wrong descriptor.
#
# The mistake: the GDT is copied from a 32-bit kernel with code at 10H and data at 8H; the jump has the selector of
# the author's own, 8H.
#
# What happens: the far jump raises #GP with the selector as its error code. Without an IDT that becomes a triple
# fault.
#
# Where: everywhere.
#
# The cure: the selector of a code descriptor with L set.

        .include "Boot/pvh.s"
        .include "Boot/end.s"

        .code32
        .globl  start
start:
        lidt    emptyIDTDescriptor      # no exception can be delivered: the first one is a triple fault
        mov     $pml4, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $(1 << 5), %eax         # CR4.PAE
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $(1 << 8), %eax         # EFER.LME
        wrmsr
        mov     %cr0, %eax
        or      $(1 << 31), %eax        # CR0.PG
        mov     %eax, %cr0
        lgdt    gdtDescriptor
        .ifdef CURED
        ljmp    $0x10, $longMode
        .else
        ljmp    $0x08, $longMode
        .endif

        .code64
longMode:
        endWell

        .section .rodata
        .balign 8
gdt:    .quad   0
        .quad   0x00cf93000000ffff      # 0x08: data
        .quad   0x00209b0000000000      # 0x10: 64-bit code
gdtDescriptor:
        .word   . - gdt - 1
        .quad   gdt

        .section .rodata
emptyIDTDescriptor:
        .word   0
        .quad   0

        .data
        .balign 4096
pml4:   .quad   pdpt + 3                # P, RW
        .fill   511, 8, 0
pdpt:   .quad   pd + 3
        .fill   511, 8, 0
pd:     .quad   0x83                    # the first 2 MiB: P, RW, PS
        .fill   511, 8, 0
