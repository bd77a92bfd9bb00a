# A task gate whose TSS is too short.
#
# The mistake: the descriptor of the TSS has the size where its limit belongs, and counts 32-bit words: 26.
#
# What happens: INT 20H goes through a task gate, and the switch raises #TS with the selector of the TSS. Without a
# handler for that it becomes a triple fault.
#
# Where: everywhere.
#
# The cure: the limit 67H, the offset of the last of 104 bytes.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        setBase 0x28, firstTask
        setBase 0x30, secondTask
        .ifndef CURED
        movw    $26, gdt + 0x30
        .endif
        mov     $0x28, %eax
        ltr     %ax
        movl    $0x300000, idt          # vector 0: a task gate to 30H
        movl    $0x8500, idt + 4
        movw    $7, idtDescriptor
        lidt    idtDescriptor
        int     $0
        endWell

second: endWell

        .data
        .balign 8
firstTask:
        .fill   26, 4, 0
secondTask:
        .fill   8, 4, 0
        .long   second, 2               # EIP, EFLAGS
        .fill   4, 4, 0
        .long   stackTop, 0, 0, 0       # ESP, EBP, ESI, EDI
        .long   16, 8, 16, 16, 0, 0     # ES, CS, SS, DS, FS, GS
        .long   0                       # LDT
        .word   0, 104
