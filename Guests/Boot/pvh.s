# What every image needs, whoever writes its first instructions: the PVH note, by which QEMU finds `start`.
#
# QEMU starts an ELF64 file that carries the note (hw/i386/x86.c: read_pvh_start_addr, load_elfboot, 7.2) in 32-bit
# protected mode: flat segments, paging off, interrupts off (pc-bios/optionrom/pvh_main.c).

        .section .note.pvh, "a", @note
        .balign 4
        .long   4                       # size of the name
        .long   8                       # size of the contents
        .long   18                      # XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .quad   start
        .text
