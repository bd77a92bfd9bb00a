import GuestImage
import Testing
import X86

@Suite struct SourceFrameTests {
  static let store = "Guest.Table.store(_: Swift.UInt64, at: Swift.Int) -> ()"
  static let fill = "Guest.Table.fill(from: Swift.Int) -> ()"
  static let mapMemory = "Guest.mapMemory(base: Swift.UInt) -> ()"

  @Test(
    arguments: [
      // DWARF 4, in a module.
      (
        0x10_000A,
        [
          "\(store) at /guest/inlined.swift:6:32 (inlined)", "\(fill) at /guest/inlined.swift:10:5 (inlined)",
          "\(mapMemory) at /guest/inlined.swift:16:21",
        ]
      ),
      (
        0x10_0013,
        [
          "\(store) at /guest/inlined.swift:6:60 (inlined)", "\(fill) at /guest/inlined.swift:10:5 (inlined)",
          "\(mapMemory) at /guest/inlined.swift:16:21",
        ]
      ),
      (0x10_001C, ["\(mapMemory) at /guest/inlined.swift:17:1"]),
      // What the compiler made up has no line.
      (0x10_0000, ["mapMemory at ?"]),
      (0x10_0021, ["Swift runtime failure: fatal error at ? (inlined)", "_swift_exceptionPersonality at ?"]),
      // DWARF 5, in a namespace.
      (0x10_0030, ["ports::reset() at /guest/inlined.cpp:13"]),
      (
        0x10_0036,
        [
          "ports::write(unsigned short, unsigned char) at /guest/inlined.cpp:5:3 (inlined)",
          "ports::select(unsigned char) at /guest/inlined.cpp:9:3 (inlined)",
          "ports::reset() at /guest/inlined.cpp:14:3",
        ]
      ),
      (
        0x10_003A,
        [
          "ports::write(unsigned short, unsigned char) at /guest/inlined.cpp:5:3 (inlined)",
          "ports::select(unsigned char) at /guest/inlined.cpp:10:3 (inlined)",
          "ports::reset() at /guest/inlined.cpp:14:3",
        ]
      ),
      (0x10_003D, ["ports::reset() at /guest/inlined.cpp:15:1"]),
      // DWARF 5, in neither.
      (0x10_0044, ["kernel_main at /guest/inlined.cpp:19:3"]),
      (
        0x10_004F,
        [
          "ports::write(unsigned short, unsigned char) at /guest/inlined.cpp:5:3 (inlined)",
          "ports::select(unsigned char) at /guest/inlined.cpp:10:3 (inlined)",
          "kernel_main at /guest/inlined.cpp:20:3",
        ]
      ),
      (0x10_0051, ["kernel_main at /guest/inlined.cpp:21:1"]),
      // No DWARF for it; and the address of functions that the linker removed.
      (0x10_0053, []), (0, []), (.max, []),
    ] as [(UInt64, [String])])
  func unfoldsWhatIsInlined(address: UInt64, frames: [String]) throws {
    let image = try Fixtures.image(Fixtures.inlined)
    #expect(image.frames(at: LinearAddress(address)).map(\.description) == frames)
  }

  @Test func hasALineWithoutAFunctionForAssembly() throws {
    let image = try Fixtures.image(Fixtures.oneGiBPages)
    let line = SourceLine(file: "/src/guest.asm", line: 35, column: nil)
    #expect(image.frames(at: LinearAddress(0x10006D)) == [SourceFrame(function: nil, line: line, isInlined: false)])
  }
}
