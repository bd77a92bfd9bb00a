# Tables of long mode, and EFER.LME not set.
#
# The mistake: CR3 is loaded with a PML4 table and CR0.PG is set, and nobody set EFER.LME before.
#
# What happens: paging is on in PAE form, in which CR3 points to four PDPTEs. TCG takes the PML4 table for them, and what it leads to for
# page directories: the next instruction is nowhere. A processor refuses the PDPTEs at MOV CR0, for they have bit 1 set.
#
# Where: everywhere, in one way or the other. On a processor without long mode (-cpu qemu32) the cured guest dies as well: TCG drops
# EFER.LME, a processor raises #GP.
#
# The cure: EFER.LME, then CR0.PG.

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
        .ifdef CURED
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $(1 << 8), %eax         # EFER.LME
        wrmsr
        .endif
        mov     %cr0, %eax
        or      $(1 << 31), %eax        # CR0.PG
        mov     %eax, %cr0
        lgdt    gdtDescriptor
        ljmp    $8, $longMode

        .code64
longMode:
        endWell

        .section .rodata
        .balign 8
gdt:    .quad   0
        .quad   0x00209b0000000000      # 0x08: 64-bit code
gdtDescriptor:
        .word   . - gdt - 1
        .quad   gdt
emptyIDTDescriptor:
        .word   0
        .quad   0

        .data
        .balign 4096
pml4:   .quad   pdpt + 3                # P, RW
        .fill   511, 8, 0
pdpt:   .quad   directory + 3
        .fill   511, 8, 0
directory:
        .quad   0x83                    # P, RW, PS: the first 2 MiB
        .fill   511, 8, 0
