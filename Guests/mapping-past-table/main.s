# A loop that maps memory, and runs on behind its table.
#
# The mistake: the kernel maps all memory up to the highest address of the memory map, one page directory for each GiB, and
# firmware's map goes beyond 512 GiB. The table for them has 512 entries; behind it lie the directories, the one in force
# first.
#
# What happens: entry 512 and those behind it overwrite the directory of the first GiB. Soon the next directory is not mapped
# any more: a page fault on the write to it. Without an IDT that becomes a triple fault.
#
# Where: everywhere.
#
# The cure: only what is RAM, and no more than the table holds.

        .include "Boot/pvh.s"
        .include "Boot/end.s"

        .set    root, 0x1000000         # 16 MiB, behind the image
        .set    pdpt, root + 0x1000
        .set    directories, root + 0x2000
        .ifdef CURED
        .set    gigabytes, 4
        .else
        .set    gigabytes, 1024
        .endif

        .code32
        .globl  start
start:
        movl    $(pdpt + 3), root
        movl    $(directories + 3), pdpt
        mov     $directories, %edi      # the first GiB, so that long mode can begin
        mov     $0x83, %eax
1:      mov     %eax, (%edi)
        add     $0x200000, %eax
        add     $8, %edi
        cmp     $(directories + 0x1000), %edi
        jb      1b
        mov     $root, %eax
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
        lidt    emptyIDTDescriptor
        mov     $1, %ecx                # the GiB
nextGiB:
        mov     %rcx, %rax
        shl     $30, %rax
        or      $0x83, %rax             # the entry of its first page: P, RW, PS
        mov     %rcx, %rdi
        shl     $12, %rdi
        add     $directories, %rdi      # its directory
        lea     3(%rdi), %rdx
        mov     %rdx, pdpt(, %rcx, 8)
        mov     $512, %ebx
nextPage:
        mov     %rax, (%rdi)
        add     $0x200000, %rax
        add     $8, %rdi
        dec     %ebx
        jnz     nextPage
        inc     %ecx
        cmp     $gigabytes, %ecx
        jb      nextGiB
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
