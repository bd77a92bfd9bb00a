# A 64 KiB ROM for qemu-system-x86_64 -bios that enters protected mode and then ends in one of three ways:
#   UNBACKED=1  jumps to an address that nothing backs
#   LONG=1      enters long mode and reads an address that its page tables do not map, without an IDT: triple fault
#   HALT=1      enters long mode and halts
.code16
.globl _start
_start:
  cli
  mov $0xf000, %ax
  mov %ax, %ds
  lgdtl gdtr
  mov %cr0, %eax
  or $1, %al
  mov %eax, %cr0
  ljmpl $8, $(0xf0000 + protected)
.code32
protected:
  mov $16, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7c00, %esp
.ifdef UNBACKED
  mov $0xe0000000, %eax
  jmp *%eax
.else
  # PML4, PDPT and PD at 0x1000, 0x2000 and 0x3000; one 2 MiB page at 0.
  movl $0x2003, 0x1000
  movl $0x3003, 0x2000
  movl $0x83, 0x3000
  mov $0x1000, %eax
  mov %eax, %cr3
  mov $0x20, %eax
  mov %eax, %cr4
  mov $0xc0000080, %ecx
  mov $0x100, %eax
  xor %edx, %edx
  wrmsr
  mov %cr0, %eax
  or $0x80000000, %eax
  mov %eax, %cr0
  ljmpl $24, $(0xf0000 + long)
.code64
long:
  lidt idtr + 0xf0000
.ifdef LONG
  movabs $0x1234567890, %rax
  mov (%rax), %rbx
.endif
  hlt
  jmp long
.endif
.align 8
gdt:
  .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdtr:
  .word 31
  .long 0xf0000 + gdt
idtr:
  .word 0
  .quad 0
.org 0xfff0
.code16
  ljmp $0xf000, $_start
.org 0x10000
