# A program in user mode that uses a port.
#
# The mistake: a driver runs in user mode, with IOPL 0, and the TSS has no I/O permission bit map that allows the port.
#
# What happens: #GP with error code 0 at the OUT. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: a bit map in the TSS, in which the port's bits are 0, with a byte of ones behind it; or IOPL 3.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        setBase 0x28, tss
        movw    $(endOfTSS - tss - 1), gdt + 0x28
        mov     $0x28, %eax
        ltr     %ax
        pushl   $0x23                   # SS and ESP of the program
        pushl   $stackTop
        pushf
        pushl   $0x1b                   # its CS and EIP
        pushl   $program
        iret
program:
        mov     $0x3f8, %dx
        mov     $'O', %al
        outb    %al, %dx
        mov     $'K', %al
        outb    %al, %dx
        xor     %al, %al
        outb    %al, $0xf4              # isa-debug-exit
        jmp     .

        .data
        .balign 8
tss:    .long   0
        .long   stackTop                # ESP0
        .long   16                      # SS0
        .fill   22, 4, 0
        .word   0, ports - tss
ports:
        .ifdef CURED
        .fill   0x7f, 1, 0              # ports 0 to 3F7H
        .byte   0                       # 3F8H to 3FFH: COM1
        .else
        .fill   0x7f, 1, 0
        .byte   0xff
        .endif
        .byte   0xff
endOfTSS:
