// What of inlined.elf is C++ and DWARF 5: a function inlined into one that is inlined into a namespace's function, the
// innermost of them twice.
namespace ports {
static inline __attribute__((always_inline)) void write(unsigned short port, unsigned char value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline __attribute__((always_inline)) void select(unsigned char index) {
  write(0x70, index);
  write(0x71, 0);
}

__attribute__((noinline)) void reset() {
  select(0x8f);
}
}  // namespace ports

extern "C" void kernel_main() {
  ports::reset();
  ports::select(0x0b);
}
