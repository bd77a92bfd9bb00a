# A function of 32 bits called in 64-bit mode.
#
# The mistake: the function was assembled as 32-bit code (.code32, BITS 32), and is called after the far jump to 64-bit mode.
#
# What happens: most of its bytes are instructions in 64-bit mode, too. PUSHA is none: #UD.
#
# Where: everywhere.
#
# The cure: the function assembled for 64 bits.

        .include "Boot/long.s"

        .code64
        .globl  main
main:
        lidt    emptyIDT
        mov     $3, %ecx
        call    sum
        endWell

        .ifdef CURED
        .code64
sum:    push    %rdx
        mov     %ecx, %edx
        xor     %eax, %eax
1:      add     %edx, %eax
        dec     %edx
        jnz     1b
        mov     %eax, total
        pop     %rdx
        ret
        .else
        .code32
sum:    pusha
        mov     %ecx, %edx
        xor     %eax, %eax
1:      add     %edx, %eax
        dec     %edx
        jnz     1b
        mov     %eax, total
        popa
        ret
        .endif

        .data
        .balign 8
emptyIDT:
        .word   0
        .quad   0
total:  .long   0
