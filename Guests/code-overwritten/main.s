# A copy that runs over the code behind its buffer.
#
# The mistake: the length of a message is taken from the message, and the buffer for it, of 64 bytes, lies in front of
# the kernel's own code.
#
# What happens: text is executed. What that does is anybody's guess; here a jump to nowhere, in the end.
#
# Where: everywhere, as long as code may be written.
#
# The cure: no more bytes than there is room for. (Code that is mapped read-only, with CR0.WP, would show who writes.)

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
        .globl  start
start:
        enterFlatMode
        mov     $message, %esi
        mov     $buffer, %edi
        .ifdef CURED
        mov     $64, %ecx
        .else
        mov     $(endOfMessage - message), %ecx
        .endif
        rep movsb
        jmp     next
buffer: .space  64
next:   xor     %eax, %eax
        xor     %ebx, %ebx
        inc     %eax
        add     %eax, %ebx
        cmp     %eax, %ebx
        jne     next
        endWell
message:
        .fill   34, 4, 0x060f0b0f       # UD2 and the like
endOfMessage:
