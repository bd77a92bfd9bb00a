# A jump to the task that runs.
#
# The mistake: a scheduler that switches by TSS finds only one task that is ready, the one that runs, and jumps to it.
#
# What happens: its TSS is busy: #GP with its selector in the error code. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: compare with the current task (STR) first.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        setBase 0x28, task
        mov     $0x28, %eax
        ltr     %ax
        .ifdef CURED
        str     %ecx
        cmp     %ecx, %eax
        je      1f
        .endif
        ljmp    $0x28, $0
1:      endWell

        .data
        .balign 8
task:   .fill   26, 4, 0
