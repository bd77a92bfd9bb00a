import Processor

/// The two 8259 PICs. Firmware leaves them as the BIOS has them: IRQ 0 is vector 8.
public enum InterruptController {
  /// Lets IRQ 0 to 7 come as vectors from `vector` on, IRQ 8 to 15 behind them, and masks all but the timer.
  public static func remap(to vector: UInt8) {
    outByte(0x20, 0x11)  // ICW1: initialise, four words
    outByte(0xa0, 0x11)
    outByte(0x21, vector)  // ICW2
    outByte(0xa1, vector &+ 8)
    outByte(0x21, 4)  // ICW3: the second PIC is at IRQ 2
    outByte(0xa1, 2)
    outByte(0x21, 1)  // ICW4: 8086 mode
    outByte(0xa1, 1)
    maskAllButTimer()
  }

  public static func maskAllButTimer() {
    outByte(0x21, 0xfe)
    outByte(0xa1, 0xff)
  }
}

/// The PIT's channel 0, on IRQ 0.
public enum Timer {
  /// Starts it at 1000 Hz.
  public static func start() {
    let divisor: UInt16 = 1193
    outByte(0x43, 0x34)  // channel 0, both bytes, rate generator
    outByte(0x40, UInt8(truncatingIfNeeded: divisor))
    outByte(0x40, UInt8(truncatingIfNeeded: divisor >> 8))
  }
}
