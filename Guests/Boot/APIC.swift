import Processor

/// The registers of the local APIC and of the I/O APIC, which the guest must have mapped (``AddressSpace/mapAPICs()``).
public enum APIC {
  private static let local: UInt64 = 0xfee0_0000
  private static let io: UInt64 = 0xfec0_0000

  /// Masks the PICs, and enables the local APIC by its spurious interrupt vector register.
  ///
  /// - Parameter spuriousVector: Comes where an interrupt was asked for and is not to be had any more.
  public static func enable(spuriousVector: UInt8 = 0xff) {
    outByte(0x21, 0xff)
    outByte(0xa1, 0xff)
    storeLongword(local + 0xf0, 0x100 | UInt32(spuriousVector))
  }

  /// Lets a pin of the I/O APIC interrupt the first processor.
  public static func route(pin: UInt8, to vector: UInt8, levelTriggered: Bool = false) {
    write(register: 0x11 + 2 * pin, 0)
    write(register: 0x10 + 2 * pin, UInt32(vector) | (levelTriggered ? 1 << 15 : 0))
  }

  private static func write(register: UInt8, _ value: UInt32) {
    storeLongword(io, UInt32(register))
    storeLongword(io + 0x10, value)
  }

  /// Starts the local APIC's timer, which counts down from `count` at the bus's speed, again and again.
  public static func startTimer(vector: UInt8, count: UInt32) {
    storeLongword(local + 0x3e0, 0b1011)  // divided by 1
    storeLongword(local + 0x320, 1 << 17 | UInt32(vector))
    storeLongword(local + 0x380, count)
  }
}

extension AddressSpace {
  /// Maps the fourth GiB, in which they are, to itself.
  public func mapAPICs() { pdpt[3] = [.table(.directory(mappingGiBAt: 3 << 30)), .present, .writable] }
}
