# The 8259 interrupt controllers and the timer behind IRQ 0.

        .macro  send value, port
        mov     $\value, %al
        outb    %al, $\port
        .endm

# Both controllers: vectors from 20H and 28H on.
        .macro  remapControllers
        send    0x11, 0x20
        send    0x11, 0xa0
        send    0x20, 0x21
        send    0x28, 0xa1
        send    0x04, 0x21
        send    0x02, 0xa1
        send    0x01, 0x21
        send    0x01, 0xa1
        .endm

# The timer, 100 Hz, and its line alone.
        .macro  startTimer
        send    0xfe, 0x21
        send    0xff, 0xa1
        send    0x34, 0x43
        send    0x9b, 0x40
        send    0x2e, 0x40
        .endm
