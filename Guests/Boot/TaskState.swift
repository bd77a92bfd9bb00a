import Processor

/// The TSS of 64-bit mode: where the processor finds its stacks when an interrupt changes them.
public struct TaskState: Sendable {
  /// The address of its 104 bytes.
  public let address: UInt64

  public init() { address = PageTable().address }

  /// A TSS where there may be none.
  public init(at address: UInt64) { self.address = address }

  /// RSP0: the stack on which interrupts from user mode are delivered.
  public func setSupervisorStack(_ top: UInt64) { write(top, at: 4) }

  /// A stack of the IST, from 1 to 7.
  public func setStack(_ index: UInt64, _ top: UInt64) { write(top, at: 0x1c + 8 * index) }

  /// Its descriptor at 28H of the GDT, and LTR.
  public func use() {
    let descriptor = gdtAddress() + 0x28
    storeQuadword(
      descriptor, 0x67 | (address & 0xff_ffff) << 16 | 0x89 << 40 | (address >> 24 & 0xff) << 56)
    storeQuadword(descriptor + 8, address >> 32)
    loadTaskRegister(0x28)
  }

  private func write(_ value: UInt64, at offset: UInt64) { storeQuadword(address + offset, value) }
}
