# From protected mode to real mode, for guests whose mistake is made there. The code between `sector` and `endOfSector`
# is copied to where the BIOS puts a boot sector, 7C00H, and entered as the BIOS does: interrupts on, segments 0, the
# BIOS's vectors in force. Its addresses are those at which it is linked less `sector`, plus 7C00H: see `at`.

        .include "Boot/flat.s"

        .macro  at symbol
        .set    \symbol\()At, \symbol - sector + 0x7c00
        .endm

        .code32
        .globl  start
start:
        enterFlatMode
        mov     $sector, %esi
        mov     $0x7c00, %edi
        mov     $(endOfSector - sector), %ecx
        rep movsb
        ljmp    $0x38, $(toReal16 - sector + 0x7c00)

        .code16
sector: jmp     boot
toReal16:
        mov     $0x40, %ax              # segments with the limits of real mode
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     %ax, %fs
        mov     %ax, %gs
        mov     %cr0, %eax
        and     $~1, %al                # CR0.PE
        mov     %eax, %cr0
        ljmp    $0, $(inReal - sector + 0x7c00)
inReal: xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %fs
        mov     %ax, %gs
        mov     %ax, %ss
        mov     $0x7c00, %sp
        lidtl   %cs:(realIDT - sector + 0x7c00)
        sti
        jmp     boot
realIDT:
        .word   0x3ff
        .long   0
boot:
