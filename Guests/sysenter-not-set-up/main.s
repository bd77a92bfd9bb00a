# SYSENTER before IA32_SYSENTER_CS is set.
#
# The mistake: a program makes its first system call by SYSENTER, and the kernel has not written the three MSRs (174H
# to 176H) that say where to go.
#
# What happens: #GP with error code 0, since the selector is null. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: WRMSR to IA32_SYSENTER_CS, IA32_SYSENTER_ESP and IA32_SYSENTER_EIP before the first program runs.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        .ifdef CURED
        xor     %edx, %edx
        mov     $0x174, %ecx            # IA32_SYSENTER_CS; SS is the next descriptor
        mov     $8, %eax
        wrmsr
        mov     $0x175, %ecx            # IA32_SYSENTER_ESP
        mov     $stackTop, %eax
        wrmsr
        mov     $0x176, %ecx            # IA32_SYSENTER_EIP
        mov     $kernel, %eax
        wrmsr
        .endif
        pushl   $0x23                   # SS and ESP of the program
        pushl   $stackTop
        pushf
        pushl   $0x1b                   # its CS and EIP
        pushl   $program
        iret
program:
        sysenter
kernel:
        endWell
