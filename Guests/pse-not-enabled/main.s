# Pages of 4 MiB while CR4.PSE is clear.
#
# The mistake: bit 7 of a page-directory entry means a page of 4 MiB only once CR4.PSE is set.
#
# What happens: the entry is taken for one that leads to a page table, at address 0, where real mode's vectors are: the next
# instruction is not mapped. Without an IDT that becomes a triple fault.
#
# Where: everywhere; kvm_pvm has no paging but long mode's at all.
#
# The cure: CR4.PSE.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        mov     $pageDirectory, %eax
        mov     %eax, %cr3
        .ifdef CURED
        mov     %cr4, %eax
        or      $(1 << 4), %eax         # CR4.PSE
        mov     %eax, %cr4
        .endif
        mov     %cr0, %eax
        or      $(1 << 31), %eax        # CR0.PG
        mov     %eax, %cr0
        endWell

        .data
        .balign 4096
pageDirectory:
        .long   0x83                    # the first 4 MiB: P, RW, PS
        .fill   1023, 4, 0
