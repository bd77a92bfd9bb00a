# Handlers for interrupts and exceptions. The linker leaves out those that a guest does not use.

        .include "Boot/end.s"

        .macro  handler name
        .section .text.\name, "ax", @progbits
        .globl  \name
\name:
        .endm

        handler ignoreInterrupt
        iretq

        handler ignoreFault
        add     $8, %rsp                # the error code, which IRET does not know of
        iretq

        handler mapAndReturn
        push    %rax
        push    %rcx
        mov     mapAndReturnAddress, %rcx
        mov     mapAndReturnValue, %rax
        mov     %rax, (%rcx)
        pop     %rcx
        pop     %rax
        add     $8, %rsp                # the error code
        iretq

        handler countTick
        push    %rax
        incl    tickCount
        mov     $0x20, %al
        outb    %al, $0x20              # the end of the interrupt, to the PIC
        pop     %rax
        iretq

        handler countAPICTick
        push    %rax
        incl    tickCount
        mov     $0xfee000b0, %eax
        movl    $0, (%rax)              # the end of the interrupt, to the local APIC
        pop     %rax
        iretq

        handler countUnended
        incl    tickCount
        iretq

        handler serveAPICSerialPort
        push    %rax
        push    %rdx
        mov     $0x3fa, %dx
        inb     %dx, %al                # the cause, which the UART takes for served
        mov     $0xfee000b0, %eax
        movl    $0, (%rax)
        pop     %rdx
        pop     %rax
        iretq

        handler serveSerialPort
        push    %rax
        push    %rdx
        mov     $0x3fa, %dx
        inb     %dx, %al                # the cause, which the UART takes for served
        incl    tickCount
        mov     $0x20, %al
        outb    %al, $0x20
        pop     %rdx
        pop     %rax
        iretq

        handler nestSerialPort
        push    %rax
        push    %rdx
        mov     $0x20, %al
        outb    %al, $0x20
        sti                             # before the device is served
        mov     $0x3fa, %dx
        inb     %dx, %al
        pop     %rdx
        pop     %rax
        iretq

        handler readAndReturn
        push    %rax
        mov     mapAndReturnAddress, %rax
        mov     (%rax), %rax            # where nothing may be mapped either
        pop     %rax
        add     $8, %rsp                # the error code
        iretq

        handler finishWell
        endWell

        .data
        .balign 8
        .globl  mapAndReturnAddress, mapAndReturnValue, tickCount
mapAndReturnAddress:
        .quad   0
mapAndReturnValue:
        .quad   0
tickCount:
        .long   0
