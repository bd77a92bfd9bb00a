# Protected mode as most guests in assembly begin: flat segments, a stack, and an IDT that is empty, so that the first
# exception is a triple fault.

        .macro  enterFlatMode
        lidt    emptyIDTDescriptor
        lgdt    gdtDescriptor
        ljmp    $8, $1f
1:      mov     $16, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $stackTop, %esp
        .endm

# Puts the base of what lies at `symbol` into the descriptor `selector`.
        .macro  setBase selector, symbol
        mov     $\symbol, %eax
        mov     %ax, gdt + \selector + 2
        shr     $16, %eax
        mov     %al, gdt + \selector + 4
        mov     %ah, gdt + \selector + 7
        .endm

# Makes the gate of a vector: an interrupt gate (8EH) to `handler`.
        .macro  setGate vector, handler, type=0x8e
        mov     $\handler, %eax
        mov     %ax, idt + 8 * \vector
        movw    $8, idt + 8 * \vector + 2
        movw    $(\type << 8), idt + 8 * \vector + 4
        shr     $16, %eax
        mov     %ax, idt + 8 * \vector + 6
        .endm

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 0x08: 32-bit code
        .quad   0x00cf93000000ffff      # 0x10: data
        .quad   0x00cffb000000ffff      # 0x18: 32-bit code for user mode
        .quad   0x00cff3000000ffff      # 0x20: data for user mode
        .quad   0x0000890000000067      # 0x28: a TSS of 104 bytes, whose base setBase sets
        .quad   0x0000890000000067      # 0x30: another
        .quad   0x00009b000000ffff      # 0x38: 16-bit code, as real mode has it
        .quad   0x000093000000ffff      # 0x40: 16-bit data
        .quad   0x0000820000000007      # 0x48: an LDT of one entry
gdtDescriptor:
        .word   . - gdt - 1
        .long   gdt
emptyIDTDescriptor:
        .word   0
        .long   0
idtDescriptor:
        .word   32 * 8 - 1
        .long   idt

        .bss
        .balign 4096
idt:    .space  4096
        .space  4096
stackTop:
        .text
