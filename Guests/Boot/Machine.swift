import Processor

/// Puts a green character into the top left corner of the VGA text screen.
public func showOnScreen(_ character: Unicode.Scalar) {
  let green: UInt16 = 2 << 8
  // The VGA's text buffer is a device's memory, in which no Swift value lives.
  let screen = unsafe UnsafeMutablePointer<UInt16>(bitPattern: 0xb8000)
  unsafe screen?.pointee = green | UInt16(truncatingIfNeeded: character.value)
}

/// Writes a byte at `address`, which must lie behind the image, where no Swift value lives.
public func touch(_ address: UInt64) {
  unsafe UnsafeMutablePointer<UInt8>(bitPattern: UInt(address))?.pointee = 1
}

/// Writes `text` to COM1. QEMU's serial port takes bytes at once, without being set up.
public func printLine(_ text: StaticString) {
  // A static string stays where the linker put it, `utf8CodeUnitCount` bytes long.
  for index in 0..<text.utf8CodeUnitCount { outByte(0x3f8, unsafe text.utf8Start[index]) }
  outByte(0x3f8, 10)
}

/// Ends the guest well: QEMU exits with status 1 if it has `-device isa-debug-exit,iobase=0xf4,iosize=4`. Without that
/// device nobody listens at the port, and the processor halts for good.
public func exit() -> Never {
  outByte(0xf4, 0)
  while true { disableInterruptsAndHalt() }
}

/// The address of a function's first instruction.
public func address(of function: @convention(c) () -> Void) -> UInt64 {
  // A C function pointer is an address and nothing else.
  UInt64(unsafe unsafeBitCast(function, to: UInt.self))
}
