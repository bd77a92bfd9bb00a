# A Multiboot header whose address fields are empty.
#
# The mistake: bit 16 of the header's flags says that the five address fields behind the checksum are to be used instead of
# what the ELF file says, and they were left out: what lies there is zero.
#
# What happens: QEMU puts the file at address 0, over the interrupt vectors, and jumps to 0. Nothing of the kernel runs; what
# is there is executed as code.
#
# Where: everywhere, with a loader of the Multiboot specification: QEMU's -kernel, GRUB.
#
# The cure: without bit 16 the loader goes by the ELF file, which must be of 32 bits then; or the addresses.

        .text
        .globl  start
header: .long   0x1badb002              # the magic number
        .long   1 << 16                 # flags
        .long   -(0x1badb002 + (1 << 16))
        .ifdef CURED
        .long   header                  # header_addr
        .long   header                  # load_addr
        .long   0                       # load_end_addr: all of the file
        .long   0                       # bss_end_addr: none
        .long   start                   # entry_addr
        .else
        .space  20
        .endif

        .include "Boot/end.s"
        .include "Boot/flat.s"

        .code32
start:
        enterFlatMode
        endWell
