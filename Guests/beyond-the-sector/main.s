# A jump past the sectors that were loaded.
#
# The mistake: the BIOS loads the first sector of a disk, 512 bytes, and no more. This boot sector jumps to its second
# stage, which nobody has read from the disk.
#
# What happens: the memory there is zero, and two zeroes are an instruction: `add %al, (%bx,%si)`. At the end of the
# segment IP wraps to 0: the processor goes round in it for ever.
#
# Where: everywhere.
#
# The cure: INT 13H before the jump. (The cured twin has its second stage in the same sector.)

        .include "Boot/pvh.s"
        .include "Boot/end.s"
        .include "Boot/real.s"

        cli
        .ifdef CURED
        jmp     second
second: endWell
        .else
        ljmp    $0x7e0, $0              # 7E00H: behind the first sector
        .endif
endOfSector:
