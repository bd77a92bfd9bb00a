# IRET to user mode with a stack segment of the kernel.
#
# The mistake: the frame for the program has CS with RPL 3, and SS as the kernel has it, RPL 0.
#
# What happens: #GP with SS's selector in the error code. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: the data segment of user mode, with RPL 3.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        .ifdef CURED
        pushl   $0x23
        .else
        pushl   $0x10
        .endif
        pushl   $stackTop
        pushl   $(3 << 12 | 2)          # IOPL 3: the program may use the ports
        pushl   $0x1b
        pushl   $program
        iret
program:
        endWell
