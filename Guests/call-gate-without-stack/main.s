# A call gate into the kernel, and a TSS without a stack for it.
#
# The mistake: a CALL through a call gate to CPL 0 takes SS and ESP from the TSS. This kernel has loaded a TSS, and has not
# filled it.
#
# What happens: SS0 is null: #TS. Without gates in the IDT that becomes a triple fault.
#
# Where: everywhere; KVM's emulator, which is all that kvm_pvm has for protected mode, knows no return to another CPL.
#
# The cure: SS0 and ESP0 in the TSS.

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        lidt    idtDescriptor
        setBase 0x28, tss
        mov     $0x28, %ax
        ltr     %ax
        mov     $kernel, %eax           # a call gate at 48H that CPL 3 may use
        mov     %ax, gdt + 0x48
        movw    $8, gdt + 0x4a
        movw    $0xec00, gdt + 0x4c
        shr     $16, %eax
        mov     %ax, gdt + 0x4e
        .ifdef CURED
        movl    $stackTop, tss + 4      # ESP0
        movl    $0x10, tss + 8          # SS0
        .endif
        push    $0x23                   # to CPL 3
        push    $(stackTop - 2048)
        push    $0x1b
        push    $program
        lret
program:
        lcall   $0x4b, $0
        jmp     .
kernel: endWell

        .bss
        .balign 8
tss:    .space  104
        .text
