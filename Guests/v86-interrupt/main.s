# INT n in virtual-8086 mode without a monitor.
#
# The mistake: a kernel enters virtual-8086 mode to call the BIOS, with IOPL 0. There INT n does not go to the BIOS but
# raises #GP, which a monitor has to answer. This kernel has none.
#
# What happens: #GP with error code 0 at the INT. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: a #GP handler that carries out INT, IRET, CLI, STI, PUSHF and POPF for the program. (In the cured twin it
# only ends the guest.)

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        setBase 0x28, tss
        mov     $0x28, %eax
        ltr     %ax
        .ifdef CURED
        setGate 13, monitor
        lidt    idtDescriptor
        .endif
        mov     $program, %esi          # to where real mode's addresses reach
        mov     $0x8000, %edi
        mov     $(endOfProgram - program), %ecx
        rep movsb
        pushl   $0                      # GS, FS, DS, ES
        pushl   $0
        pushl   $0
        pushl   $0
        pushl   $0                      # SS and SP
        pushl   $0x7000
        pushl   $(1 << 17 | 2)          # EFLAGS.VM, IOPL 0
        pushl   $0                      # CS and IP
        pushl   $0x8000
        iret

        .code16
program:
        mov     $0x0e41, %ax
        int     $0x10                   # the BIOS, to print A
        hlt
endOfProgram:

        .code32
monitor:
        mov     $16, %eax
        mov     %eax, %ds
        endWell

        .data
        .balign 8
tss:    .long   0
        .long   stackTop                # ESP0
        .long   16                      # SS0
        .fill   22, 4, 0
        .word   0, 104                  # no I/O permission bit map
