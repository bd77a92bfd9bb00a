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
