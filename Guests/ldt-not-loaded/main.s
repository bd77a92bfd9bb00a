# A selector of the LDT, where there is none.
#
# The mistake: bit 2 of a selector says that its descriptor is in the LDT. Here it is the selector 14H, meant as entry 2
# of the GDT with something added.
#
# What happens: #GP with the selector in the error code. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: 8 times the number of the entry, plus RPL, which has two bits only.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        xor     %eax, %eax
        lldt    %ax                     # there is no LDT, as kernels of today begin
        .ifdef CURED
        mov     $0x10, %eax
        .else
        mov     $0x14, %eax
        .endif
        mov     %eax, %fs
        endWell
