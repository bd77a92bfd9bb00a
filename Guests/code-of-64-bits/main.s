# 64-bit code in a code segment of 32 bits.
#
# The mistake: the GDT's descriptor of the kernel's code has D set, as it had in protected mode, and not L. Long mode is on, and the
# far jump loads CS with it.
#
# What happens: the far jump succeeds, in compatibility mode. What follows is decoded as 32-bit code: a REX prefix is DEC or INC, and
# the upper half of a constant of 64 bits is an instruction. One of those reads where nothing is mapped: #PF.
#
# Where: everywhere.
#
# The cure: L (bit 53) in the descriptor, and D (bit 54) clear.

        .include "Boot/pvh.s"
        .include "Boot/end.s"

        .code32
        .globl  start
start:
        lidt    emptyIDTDescriptor      # no exception can be delivered: the first one is a triple fault
        mov     $pml4, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $(1 << 5), %eax         # CR4.PAE
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $(1 << 8), %eax         # EFER.LME
        wrmsr
        mov     %cr0, %eax
        or      $(1 << 31), %eax        # CR0.PG
        mov     %eax, %cr0
        lgdt    gdtDescriptor
        ljmp    $8, $longMode

        .code64
longMode:
        mov     $stackTop, %rsp
        mov     %rsp, %rbp
        mov     $message, %rsi
        mov     %rsi, -8(%rbp)
        mov     -8(%rbp), %rdi
        movabs  $0xffff800000000000, %rax
        mov     %rax, -16(%rbp)
        mov     message(%rip), %rcx     # in 32-bit code an address of its own, far below
        mov     0x7ff00000(%rcx), %al
        endWell

        .section .rodata
        .balign 8
gdt:    .quad   0
        .ifdef CURED
        .quad   0x00af9b000000ffff      # 0x08: 64-bit code
        .else
        .quad   0x00cf9b000000ffff      # 0x08: 32-bit code
        .endif
gdtDescriptor:
        .word   . - gdt - 1
        .quad   gdt
emptyIDTDescriptor:
        .word   0
        .quad   0
message:
        .quad   -0x7ff00000 + 0x1000

        .data
        .balign 4096
pml4:   .quad   pdpt + 3                # P, RW
        .fill   511, 8, 0
pdpt:   .quad   directory + 3
        .fill   511, 8, 0
directory:
        .quad   0x83                    # P, RW, PS: the first 2 MiB
        .fill   511, 8, 0
        .space  256
stackTop:
