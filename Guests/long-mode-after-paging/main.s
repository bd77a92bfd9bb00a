# EFER.LME set after paging is on.
#
# The mistake: the steps to long mode in the wrong order: CR0.PG is set first and EFER.LME then.
#
# What happens: a processor raises #GP at the WRMSR. TCG takes it, but long mode is not active, for that is decided when
# paging is turned on: the far jump that follows runs 64-bit code as 32-bit code.
#
# Where: everywhere, in one way or the other.
#
# The cure: CR4.PAE, CR3, EFER.LME, and CR0.PG last.

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
        .ifndef CURED
        mov     $pae, %eax              # with PAE alone, CR3 points to four PDPTEs
        mov     %eax, %cr3
        mov     %cr0, %eax
        or      $(1 << 31), %eax        # CR0.PG
        mov     %eax, %cr0
        .endif
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $(1 << 8), %eax         # EFER.LME
        wrmsr
        .ifdef CURED
        mov     %cr0, %eax
        or      $(1 << 31), %eax
        mov     %eax, %cr0
        .endif
        lgdt    gdtDescriptor
        ljmp    $8, $longMode

        .code64
longMode:
        mov     $0x3f8, %edx
        mov     $gdt, %r15d             # a REX prefix, which 32-bit code does not have
        mov     (%r15), %r14
        endWell

        .section .rodata
        .balign 8
gdt:    .quad   0
        .quad   0x00209b0000000000      # 0x08: 64-bit code
gdtDescriptor:
        .word   . - gdt - 1
        .quad   gdt
emptyIDTDescriptor:
        .word   0
        .quad   0

        .data
        .balign 4096
pml4:   .quad   pdpt + 3                # P, RW
        .fill   511, 8, 0
pdpt:   .quad   directory + 3
        .fill   511, 8, 0
pae:    .quad   directory + 1           # P
        .fill   511, 8, 0
directory:
        .quad   0x83                    # P, RW, PS: the first 2 MiB
        .fill   511, 8, 0
