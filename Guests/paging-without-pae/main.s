# Long mode without PAE.
#
# The mistake: EFER.LME is set and the tables are there, but CR4.PAE was left out.
#
# What happens: MOV to CR0 with PG raises #GP. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: set CR4.PAE before CR0.PG.

        .include "Boot/pvh.s"
        .include "Boot/end.s"

        .code32
        .globl  start
start:
        lidt    emptyIDTDescriptor      # no exception can be delivered: the first one is a triple fault
        mov     $pml4, %eax
        mov     %eax, %cr3
        .ifdef CURED
        mov     %cr4, %eax
        or      $(1 << 5), %eax         # CR4.PAE
        mov     %eax, %cr4
        .endif
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $(1 << 8), %eax         # EFER.LME
        wrmsr
        mov     %cr0, %eax
        or      $(1 << 31), %eax        # CR0.PG
        mov     %eax, %cr0
        endWell

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
