// A kernel linked for the upper half and loaded at 2 MiB, with boot code that runs where it is loaded.
	.section .boot, "ax"
	.code32
	.globl _start
_start:
	movl %eax, %cr4
boot_paging:
	movl %ecx, %cr0
	movw $0x248, 0xb8000
	hlt
	.section .text, "ax"
	.code64
	.globl trampoline
trampoline:
	call kernel_main
halted:
	hlt
	jmp halted
	mov %r8, %cr0
	.size trampoline, . - trampoline
	int3
	int3
behind_label:
	nop
