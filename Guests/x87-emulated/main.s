# The x87 FPU used while CR0.EM says that there is none.
#
# The mistake: firmware or a boot loader has set CR0.EM, and the kernel executes FNINIT without looking.
#
# What happens: #NM, which is for an operating system that emulates the FPU. Without an IDT it becomes a triple fault.
#
# Where: everywhere.
#
# The cure: clear CR0.EM and set CR0.MP and CR0.NE before the first x87 instruction.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        mov     %cr0, %eax
        or      $(1 << 2), %eax         # CR0.EM, as the loader left it
        mov     %eax, %cr0
        .ifdef CURED
        and     $~(1 << 2), %eax
        or      $(1 << 1 | 1 << 5), %eax
        mov     %eax, %cr0
        .endif
        fninit
        endWell
