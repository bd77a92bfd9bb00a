# PAE paging with the flags of other tables.
#
# The mistake: an entry of the page-directory-pointer table of 32-bit PAE paging has neither R/W nor U/S: those bits
# are reserved. This one has 3, like all entries elsewhere.
#
# What happens: MOV to CR0 with PG loads all four entries and raises #GP. Without an IDT that becomes a triple fault.
# TCG looks at the entry when it is first used: a page fault.
#
# Where: everywhere; kvm_pvm runs no 32-bit paging.
#
# The cure: the entry is the address of the page directory and P, no more.

        .include "Boot/pvh.s"
        .include "Boot/end.s"

        .code32
        .globl  start
start:
        lidt    emptyIDTDescriptor      # no exception can be delivered: the first one is a triple fault
        mov     $pdpt, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $(1 << 5), %eax         # CR4.PAE
        mov     %eax, %cr4
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
pdpt:
        .ifdef CURED
        .quad   pd + 1                  # P
        .else
        .quad   pd + 3                  # P, and what is R/W elsewhere
        .endif
        .fill   3, 8, 0
        .balign 4096
pd:     .quad   0x83                    # the first 2 MiB: P, RW, PS
        .fill   511, 8, 0
