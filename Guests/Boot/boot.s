# From QEMU's -kernel to Swift's main, in 64-bit mode.
#
# The tables are written out by the assembler, so that nothing is left to do here but to switch them on.

        .include "Boot/pvh.s"

        .text
        .code32
        .globl  start
start:
        mov     $bootPML4, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $(1 << 5), %eax         # CR4.PAE
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $(1 << 8), %eax         # EFER.LME
        wrmsr
        mov     %cr0, %eax
        or      $(1 << 31), %eax        # CR0.PG, which also sets EFER.LMA
        mov     %eax, %cr0
        lgdt    gdtDescriptor
        ljmp    $8, $longMode

        .code64
longMode:
        mov     $16, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        lidt    emptyIDTDescriptor      # no exception can be delivered: the first one is a triple fault
        mov     $stackTop, %esp
        xor     %ebp, %ebp
        call    main
        jmp     .

        .section .rodata
        .balign 8
gdtDescriptor:
        .word   endOfGDT - gdt - 1
        .quad   gdt
emptyIDTDescriptor:
        .word   0
        .quad   0

# In the order that SYSCALL and SYSRET want.
        .data
        .balign 8
        .globl  gdt
gdt:    .quad   0
        .quad   0x00209b0000000000      # 0x08: 64-bit code
        .quad   0x00cf93000000ffff      # 0x10: data
        .quad   0x00cff3000000ffff      # 0x18: data for user mode
        .quad   0x0020fb0000000000      # 0x20: 64-bit code for user mode
        .quad   0, 0                    # 0x28: a TSS, if the guest has one: see TaskState.swift
endOfGDT:

# The boot mapping: the first GiB, mapped to itself with 2 MiB pages.
        .data
        .balign 4096
bootPML4:
        .quad   bootPDPT + 3            # P, RW
        .fill   511, 8, 0
bootPDPT:
        .quad   bootPD + 3
        .fill   511, 8, 0
bootPD:
        .set    .Laddress, 0
        .rept   512
        .quad   .Laddress + 0x83        # P, RW, PS
        .set    .Laddress, .Laddress + (2 << 20)
        .endr

        .bss
        .balign 4096
        .globl  firstTableFrame, endOfTableFrames
firstTableFrame:                        # for the tables that a guest builds: see PageTable.swift
        .space  64 * 4096
endOfTableFrames:
        .space  4 * 4096
        .globl  stackTop
stackTop:
