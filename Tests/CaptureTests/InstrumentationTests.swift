import QEMU
import SystemPackage
import Testing

@testable import Capture

@Suite struct InstrumentationTests {
  /// Command lines and the RAM that may be replaced; nil where it must be left to QEMU.
  @Test(
    arguments: [
      ([], 128 << 20), (["-m", "1G"], 1 << 30), (["-m", "256", "-machine", "q35,accel=kvm"], 256 << 20),
      (["-m", "size=64M,slots=2,maxmem=1G"], 64 << 20), (["-m", "nonsense"], nil), (["-mem-path", "/dev/shm"], nil),
      (["-mem-prealloc"], nil), (["-machine", "pc,memory-backend=mine"], nil), (["-numa", "node"], nil),
      (["-machine", "q35,confidential-guest-support=sev0"], nil), (["-machine", "none"], nil),
      (["-incoming", "tcp::4444"], nil), (["-readconfig", "vm.cfg"], nil),
    ] as [([String], UInt64?)]) func `RAM is shared only where that changes nothing`(arguments: [String], size: UInt64?)
  {
    let line = QEMUCommandLine(program: "qemu-system-x86_64", arguments: arguments)
    #expect(line.replaceableMemorySize == size)
  }

  @Test(arguments: [
    ([], true), (["-accel", "tcg"], true), (["-accel", "kvm"], false), (["-enable-kvm"], false),
    (["-accel", "kvm", "-accel", "tcg"], true), (["-d", "int"], false), (["-D", "log"], false),
    (["-dfilter", "0x1000+0x100"], false),
  ]) func `the log is Inquest's only where the user does not use it`(arguments: [String], isFree: Bool) {
    let line = QEMUCommandLine(program: "qemu-system-x86_64", arguments: arguments)
    #expect(line.leavesLogFree == isFree)
  }

  @Test func `logged addresses become ranges of one byte`() {
    let descriptor = FileDescriptor(rawValue: 9)
    let additions = Instrumentation(
      control: descriptor, ram: nil, log: descriptor, loggedAddresses: [0x10006D, 0x200000])
    #expect(additions.arguments.contains("0x10006d..0x10006d,0x200000..0x200000"))
    #expect(additions.arguments.contains("cpu,cpu_reset"))
  }

  @Test(
    arguments: [
      ("0000000000105000: 0x0807060504030201 0x100f0e0d0c0b0a09\r\n", Array(1...16)),
      ("", []), ("Cannot access memory\r\n", nil), ("0000: 0x1 junk\n", nil), ("0000: 0x10000000000000000\n", nil),
    ] as [(String, [UInt8]?)]) func `the monitor's dump of memory`(text: String, bytes: [UInt8]?)
  {
    #expect(MonitorPages.bytes(in: text) == bytes)
  }
}
