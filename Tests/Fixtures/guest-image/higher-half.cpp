// What of the image fixture is compiled: a mangled name, lines with columns, and a variable that is zero-filled.
namespace vga {
volatile unsigned short screen[80];
volatile unsigned char colour = 7;

__attribute__((noinline)) void put(unsigned position, char character) {
  screen[position] = (unsigned short)(colour << 8 | character);
}
}  // namespace vga

extern "C" void kernel_main() {
  vga::put(0, 'O');
  vga::put(1, 'K');
}
