# 64-bit mode as guests in assembly begin whose mistake is made there: boot.s, an IDT that `setLongGate` fills, and `main`.

        .include "Boot/boot.s"
        .include "Boot/end.s"

# Makes the gate of a vector: an interrupt gate to `handler`, in code below 4 GiB.
        .macro  setLongGate vector, handler
        mov     $\handler, %eax
        mov     %ax, idt + 16 * \vector
        movl    $0x8e000008, %ecx
        mov     %cx, idt + 16 * \vector + 2
        shr     $16, %ecx
        mov     %cx, idt + 16 * \vector + 4
        shr     $16, %eax
        mov     %ax, idt + 16 * \vector + 6
        .endm

        .data
        .balign 8
idtDescriptor:
        .word   32 * 16 - 1
        .quad   idt

        .bss
        .balign 4096
idt:    .space  4096
        .text
