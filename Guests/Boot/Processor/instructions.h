/// The instructions that Swift has no words for. They take and give integers only, so Swift counts them as safe; what
/// they do to the machine is the caller's business.

#pragma once

#include <stdint.h>

/// MOV to CR3: from the next instruction on, every address goes through the PML4 table at `address`.
static inline void writeCR3(uint64_t address) {
  __asm__ volatile("mov %0, %%cr3" : : "r"(address) : "memory");
}

/// OUT of one byte.
static inline void outByte(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/// IN of one byte.
static inline uint8_t inByte(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

static inline uint64_t readMSR(uint32_t index) {
  uint32_t low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return (uint64_t)high << 32 | low;
}

static inline void writeMSR(uint32_t index, uint64_t value) {
  __asm__ volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

struct CPUIDResult {
  uint32_t eax, ebx, ecx, edx;
};

static inline uint64_t readCR4(void) {
  uint64_t value;
  __asm__ volatile("mov %%cr4, %0" : "=r"(value));
  return value;
}

static inline void writeCR4(uint64_t value) {
  __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/// XSETBV of XCR0.
static inline void writeXCR0(uint64_t value) {
  __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/// MOVBE: a big-endian number, as networks have them. It came with Haswell.
static inline uint32_t loadBigEndian(uint32_t number) {
  uint32_t result;
  __asm__ volatile("movbe %1, %0" : "=r"(result) : "m"(number));
  return result;
}

/// MOVUPS: 16 bytes through an SSE register, which no Swift code here uses.
static inline void copy16Bytes(uint64_t from, uint64_t to) {
  __asm__ volatile("movups (%0), %%xmm0; movups %%xmm0, (%1)" : : "r"(from), "r"(to) : "memory");
}

/// VPXORD: 64 zeroes in an AVX-512 register, which no Swift code here uses.
static inline void clearZMM0(void) {
  __asm__ volatile("vpxord %%zmm0, %%zmm0, %%zmm0" : : :);
}

/// CPUID with `leaf` in EAX and 0 in ECX.
static inline struct CPUIDResult cpuid(uint32_t leaf) {
  struct CPUIDResult result;
  __asm__ volatile("cpuid"
                   : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                   : "a"(leaf), "c"(0));
  return result;
}

/// CLI and HLT: the processor stops here for good.
static inline void disableInterruptsAndHalt(void) {
  __asm__ volatile("cli; hlt" : : : "memory");
}

/// Where the room begins that boot.s reserves for the page tables a guest builds, and where it ends.
static inline uint64_t tableFramesStart(void) {
  extern char firstTableFrame[];
  return (uint64_t)firstTableFrame;
}

static inline uint64_t tableFramesEnd(void) {
  extern char endOfTableFrames[];
  return (uint64_t)endOfTableFrames;
}

static inline uint64_t readCR0(void) {
  uint64_t value;
  __asm__ volatile("mov %%cr0, %0" : "=r"(value));
  return value;
}

static inline void writeCR0(uint64_t value) {
  __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

/// LIDT: the IDT at `address`, whose last byte has the offset `limit`.
static inline void loadIDT(uint64_t address, uint16_t limit) {
  struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t address;
  } descriptor = {limit, address};
  __asm__ volatile("lidt %0" : : "m"(descriptor));
}

/// LGDT. CS and the other segments keep what they have until they are loaded anew.
static inline void loadGDT(uint64_t address, uint16_t limit) {
  struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t address;
  } descriptor = {limit, address};
  __asm__ volatile("lgdt %0" : : "m"(descriptor));
}

/// Where boot.s has its GDT.
static inline uint64_t gdtAddress(void) {
  extern char gdt[];
  return (uint64_t)gdt;
}

/// LTR.
static inline void loadTaskRegister(uint16_t selector) {
  __asm__ volatile("ltr %0" : : "r"(selector) : "memory");
}

/// MOV to DS.
static inline void loadDataSegment(uint16_t selector) {
  __asm__ volatile("mov %0, %%ds" : : "r"(selector) : "memory");
}

/// A far return to the next instruction, which loads CS.
static inline void loadCodeSegment(uint64_t selector) {
  uint64_t scratch;
  __asm__ volatile("lea 1f(%%rip), %0; push %1; push %0; lretq; 1:" : "=&r"(scratch) : "r"(selector) : "memory");
}

/// MOV of eight bytes to `address`, whatever lies there.
static inline void storeQuadword(uint64_t address, uint64_t value) {
  __asm__ volatile("mov %1, (%0)" : : "r"(address), "r"(value) : "memory");
}

/// MOV of four bytes to `address`, whatever lies there.
static inline void storeLongword(uint64_t address, uint32_t value) {
  __asm__ volatile("movl %1, (%0)" : : "r"(address), "r"(value) : "memory");
}

/// MOV of eight bytes from `address`, whatever lies there.
static inline uint64_t loadQuadword(uint64_t address) {
  uint64_t value;
  __asm__ volatile("mov (%1), %0" : "=r"(value) : "r"(address) : "memory");
  return value;
}

/// MOVAPS of 16 bytes, which must begin at a multiple of 16.
static inline void loadAligned16Bytes(uint64_t address) {
  __asm__ volatile("movaps (%0), %%xmm0" : : "r"(address) : "memory");
}

/// FLD and FSTP: eight bytes through the x87 stack.
static inline void copyFloat64(uint64_t from, uint64_t to) {
  __asm__ volatile("fldl (%0); fstpl (%1)" : : "r"(from), "r"(to) : "memory");
}

/// CALL of whatever lies at `address`.
static inline void callAddress(uint64_t address) {
  __asm__ volatile("call *%0"
                   : "+a"(address)
                   :
                   : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}

/// JMP to `address`.
static inline void jumpTo(uint64_t address) {
  __asm__ volatile("jmp *%0" : : "a"(address) : "memory");
}

/// CALL of whatever lies at `address`, with `argument` in RAX.
static inline void callWithArgument(uint64_t address, uint64_t argument) {
  __asm__ volatile("call *%1"
                   : "+a"(argument)
                   : "r"(address)
                   : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}

/// STAC: until CLAC, SMAP does not hold.
static inline void allowUserAccess(void) {
  __asm__ volatile("stac" : : : "memory");
}

/// A function that does nothing but to call itself, on the stack at `stack`.
static inline void recurseOnStack(uint64_t stack) {
  __asm__ volatile("mov %0, %%rsp; 1: call 1b" : : "r"(stack) : "memory");
}

/// Pushes `value` so many times on the stack at `stack`, and goes back to its own.
static inline void fillStack(uint64_t stack, uint64_t count, uint64_t value) {
  __asm__ volatile("mov %%rsp, %%rbx; mov %1, %%rsp; 1: push %2; dec %0; jnz 1b; mov %%rbx, %%rsp"
                   : "+&c"(count)
                   : "r"(stack), "r"(value)
                   : "rbx", "memory");
}

/// RSP, and a PUSH there.
static inline void pushOnStack(uint64_t stack) {
  __asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; push %%rax; mov %%rbx, %%rsp" : : "r"(stack) : "rbx", "memory");
}

/// DIV of `dividend` by `divisor`, which Swift would check first.
static inline uint32_t divideUnchecked(uint32_t dividend, uint32_t divisor) {
  uint32_t high = 0;
  __asm__ volatile("divl %2" : "+a"(dividend), "+d"(high) : "r"(divisor));
  return dividend;
}

static inline uint64_t countOnes(uint64_t value) {
  uint64_t result;
  __asm__ volatile("popcnt %1, %0" : "=r"(result) : "r"(value));
  return result;
}

/// RDRAND, without asking whether there was a number.
static inline uint64_t randomNumber(void) {
  uint64_t result;
  __asm__ volatile("rdrand %0" : "=r"(result));
  return result;
}

/// RDTSC.
static inline uint64_t readTimeStamp(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

/// RDTSCP.
static inline uint64_t readTimeStampAndProcessor(void) {
  uint32_t low, high, processor;
  __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(processor));
  return (uint64_t)high << 32 | low;
}

/// INVPCID of type 2: all contexts.
static inline void invalidateAllContexts(void) {
  uint64_t descriptor[2] = {0, 0};
  __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"((uint64_t)2) : "memory");
}

/// WRPKRU: what protection keys allow to user pages.
static inline void writePKRU(uint32_t rights) {
  __asm__ volatile("wrpkru" : : "a"(rights), "c"(0), "d"(0) : "memory");
}

/// SYSCALL.
static inline void systemCall(void) {
  __asm__ volatile("syscall" : : : "rcx", "r11", "memory");
}

/// SYSRET to `address` with `flags`.
static inline void returnFromSystemCall(uint64_t address, uint64_t flags) {
  __asm__ volatile("mov %1, %%r11; sysretq" : : "c"(address), "r"(flags | 2) : "r11", "memory");
}

/// IRET to `address` in the supervisor, with its stack.
static inline void returnFromInterrupt(uint64_t address) {
  __asm__ volatile(
      "mov %%rsp, %%rax; push $16; push %%rax; push $2; push $8; push %0; iretq" : : "r"(address) : "rax", "memory");
}

/// IRET to `program` in user mode, with the stack at `stack`. `flags` 0x200 lets interrupts in.
static inline void enterUserMode(uint64_t program, uint64_t stack, uint64_t flags) {
  __asm__ volatile("push $0x1b; push %1; push %2; push $0x23; push %0; iretq"
                   :
                   : "r"(program), "r"(stack), "r"(flags | 2)
                   : "memory");
}

/// INT 80H.
static inline void softwareInterrupt(void) {
  __asm__ volatile("int $0x80" : : : "memory");
}

/// STI.
static inline void enableInterrupts(void) {
  __asm__ volatile("sti" : : : "memory");
}

/// HLT: the processor waits for an interrupt.
static inline void halt(void) {
  __asm__ volatile("hlt" : : : "memory");
}

/// JMP to itself.
static inline void stop(void) {
  __asm__ volatile("1: jmp 1b" : : : "memory");
}

/// The stack at `stack`, interrupts on, and nothing to do for ever.
static inline void waitOnStack(uint64_t stack) {
  __asm__ volatile("mov %0, %%rsp; sti; 1: jmp 1b" : : "r"(stack) : "memory");
}

/// CALL of a function that saves XMM0 on its stack, with the stack pointer at `stack` before the CALL.
static inline void callOnStack(uint64_t stack) {
  __asm__ volatile(
      "mov %%rsp, %%rbx; mov %0, %%rsp; call 1f; jmp 2f;"
      "1: sub $24, %%rsp; movaps %%xmm0, (%%rsp); add $24, %%rsp; ret;"
      "2: mov %%rbx, %%rsp"
      :
      : "r"(stack)
      : "rbx", "memory");
}

/// MOV from `address`, with the stack at `stack`; does not return.
static inline void readOnStack(uint64_t stack, uint64_t address) {
  __asm__ volatile("mov %0, %%rsp; mov (%1), %%rax; 1: jmp 1b" : : "r"(stack), "r"(address) : "rax", "memory");
}

/// ANDN, of BMI1: what x86-64-v3 adds.
static inline uint64_t clearBits(uint64_t value, uint64_t mask) {
  uint64_t result;
  __asm__ volatile("andn %2, %1, %0" : "=r"(result) : "r"(mask), "r"(value));
  return result;
}

/// Reads what `tickHandler` has counted until it is not 0.
static inline void waitForTick(void) {
  extern volatile uint32_t tickCount;
  while (tickCount == 0) {
  }
}

/// PAUSE.
static inline void pause(void) {
  __asm__ volatile("pause" : : : "memory");
}

/// The handlers of handlers.s. This one returns and does nothing.
static inline uint64_t ignoringHandler(void) {
  extern char ignoreInterrupt[];
  return (uint64_t)ignoreInterrupt;
}

/// A handler that returns to the instruction that faulted, and takes the error code off the stack first.
static inline uint64_t faultIgnoringHandler(void) {
  extern char ignoreFault[];
  return (uint64_t)ignoreFault;
}

/// A handler that writes `value` to `address`, takes the error code off the stack and returns.
static inline uint64_t mapAndReturnHandler(uint64_t address, uint64_t value) {
  extern uint64_t mapAndReturnAddress, mapAndReturnValue;
  extern char mapAndReturn[];
  mapAndReturnAddress = address;
  mapAndReturnValue = value;
  return (uint64_t)mapAndReturn;
}

/// A handler that counts, and tells the PIC that it is done.
static inline uint64_t tickHandler(void) {
  extern char countTick[];
  return (uint64_t)countTick;
}

/// A handler that counts, and tells the local APIC that it is done.
static inline uint64_t apicTickHandler(void) {
  extern char countAPICTick[];
  return (uint64_t)countAPICTick;
}

/// A handler that counts and tells nobody.
static inline uint64_t unendedTickHandler(void) {
  extern char countUnended[];
  return (uint64_t)countUnended;
}

/// A handler of COM1 that asks it why, and tells the local APIC that it is done.
static inline uint64_t apicSerialPortHandler(void) {
  extern char serveAPICSerialPort[];
  return (uint64_t)serveAPICSerialPort;
}

/// The same for COM1, which it asks why.
static inline uint64_t nestingSerialPortHandler(void) {
  extern char nestSerialPort[];
  return (uint64_t)nestSerialPort;
}

/// See handlers.s.
static inline uint64_t readingFaultHandler(void) {
  extern char readAndReturn[];
  return (uint64_t)readAndReturn;
}

/// See handlers.s.
static inline uint64_t serialPortHandler(void) {
  extern char serveSerialPort[];
  return (uint64_t)serveSerialPort;
}

/// What `tickHandler` has counted.
static inline uint32_t ticks(void) {
  extern volatile uint32_t tickCount;
  return tickCount;
}

/// A handler that prints OK and ends the guest, on whatever stack.
static inline uint64_t endingHandler(void) {
  extern char finishWell[];
  return (uint64_t)finishWell;
}

/// The end of the stack that boot.s sets up; pushes go below it.
static inline uint64_t initialStackTop(void) {
  extern char stackTop[];
  return (uint64_t)stackTop;
}

/// VMRUN with the control block at `block`. The virtual machine leaves its registers behind.
static inline void runVirtualMachine(uint64_t block) {
  __asm__ volatile("push %%rbp; push %%rbx; vmrun %0; pop %%rbx; pop %%rbp"
                   : "+a"(block)
                   :
                   : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
}
