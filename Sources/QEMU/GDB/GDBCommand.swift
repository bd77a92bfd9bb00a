public import X86

/// A request to a GDB stub: the payload of a packet (GDB manual, E.2 "Packets" and E.4 "General Query Packets";
/// QEMU's `gdbstub.c`, 7.2).
public struct GDBCommand: Hashable, Sendable {
  public var payload: [UInt8]

  public init(_ payload: [UInt8]) { self.payload = payload }

  public init(_ text: String) { payload = Array(text.utf8) }

  /// `qSupported`: what the stub can, and the length of its longest packet. QEMU offers its description of the registers
  /// only to those who ask for x86's.
  public static let supported = Self("qSupported:xmlRegisters=i386")
  /// `QStartNoAckMode`: no more `+` and `-` after the answer. QEMU 7.2 does not have it.
  public static let startNoAcknowledgmentMode = Self("QStartNoAckMode")
  /// `?`: why the guest stands still.
  public static let stopReason = Self("?")
  /// `qfThreadInfo` and `qsThreadInfo`: the first and the further threads; one of QEMU's threads is a processor.
  public static let firstThreads = Self("qfThreadInfo")
  public static let furtherThreads = Self("qsThreadInfo")
  /// `g`: all registers, in the order of their numbers.
  public static let readRegisters = Self("g")
  /// `s`: one instruction of the selected thread.
  public static let step = Self("s")
  /// `c`: lets the guest run.
  public static let resume = Self("c")
  /// `D`: lets the guest go, which QEMU also sets running.
  public static let detach = Self("D")
  /// `qqemu.PhyMemMode`: whether addresses of `m` and `M` are physical, `1` or `0`. The mode is not the connection's but
  /// QEMU's, and stays for the next debugger (measured with 7.2).
  public static let queryPhysicalMemoryMode = Self("qqemu.PhyMemMode")

  /// `Qqemu.PhyMemMode` (since QEMU 4.1).
  public static func setPhysicalMemoryMode(_ isOn: Bool) -> Self { Self("Qqemu.PhyMemMode:\(isOn ? 1 : 0)") }

  /// `qXfer:features:read`: a part of a file of the description of the registers.
  public static func readFeatures(_ file: String, offset: Int, count: Int) -> Self {
    Self("qXfer:features:read:\(file):\(String(offset, radix: 16)),\(String(count, radix: 16))")
  }

  /// `Hg`: the thread that `g`, `p` and `P` are about.
  public static func selectThread(_ thread: GDBThread) -> Self { Self("Hg" + thread.identifier) }

  /// `p`: one register. QEMU answers only after its description of the registers was read (measured with 7.2).
  public static func readRegister(_ number: Int) -> Self { Self("p" + String(number, radix: 16)) }

  /// `P`: writes one register, given in the guest's byte order.
  public static func writeRegister(_ number: Int, _ value: [UInt8]) -> Self {
    Self(Array("P\(String(number, radix: 16))=".utf8) + GDBPacket.hexadecimal(value))
  }

  /// `m`: memory; QEMU gives at most half as many bytes as its longest packet has.
  public static func readMemory(_ address: PhysicalAddress, count: Int) -> Self {
    Self("m\(String(address.rawValue, radix: 16)),\(String(count, radix: 16))")
  }

  /// `Z1`: stops the guest before it executes the instruction at a linear address, by a debug register where KVM runs it,
  /// so that its memory is left alone.
  public static func insertBreakpoint(at address: LinearAddress) -> Self {
    Self("Z1,\(String(address.rawValue, radix: 16)),1")
  }

  /// `z1`: takes that back.
  public static func removeBreakpoint(at address: LinearAddress) -> Self {
    Self("z1,\(String(address.rawValue, radix: 16)),1")
  }

  /// `qRcmd`: a command of QEMU's monitor, which answers in packets that begin with `O`, and then `OK`.
  public static func monitor(_ line: String) -> Self { Self(Array("qRcmd,".utf8) + GDBPacket.hexadecimal(line.utf8)) }
}

/// A thread as a GDB stub names it: a number in hexadecimal, or with QEMU's multiprocess extension `pPROCESS.THREAD`.
public struct GDBThread: Hashable, Sendable {
  public var identifier: String

  public init(_ identifier: String) { self.identifier = identifier }
}
