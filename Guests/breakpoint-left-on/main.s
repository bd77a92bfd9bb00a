# A breakpoint that a debugger left on.
#
# The mistake: DR0 and DR7 still hold the breakpoint of whoever ran before; nothing clears them, and nothing handles #DB.
#
# What happens: the instruction there raises #DB before it is executed. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: DR7 cleared in the entry code.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        mov     $here, %eax
        mov     %eax, %dr0
        mov     $0x401, %eax            # breakpoint 0 on, and the bit that is always 1
        mov     %eax, %dr7
        .ifdef CURED
        mov     $0x400, %eax
        mov     %eax, %dr7
        .endif
        nop
here:   nop
        endWell
