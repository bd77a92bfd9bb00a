import Testing
import X86

@Suite struct SelectorErrorCodeTests {
  @Test(
    arguments: [
      // A processor, and QEMU since it counts gates by 8.
      (0x32, [6, 3], [6]), (0x33, [6, 3], [6]), (0x2A, [5], [5]),
      // QEMU 7.2 in long mode.
      (0x62, [12, 6], [12]), (0x472, [0x8E, 0x47], [0x8E]), (0x802, [0x80], []), (0xFFFE, [], []),
      // None of a gate.
      (0x38, [], []), (0, [], []),
    ] as [(UInt32, [UInt8], [UInt8])])
  func vectors(_ code: UInt32, _ inLongMode: [UInt8], _ otherwise: [UInt8]) {
    #expect(SelectorErrorCode(rawValue: code).vectors(isLongModeActive: true) == inLongMode)
    #expect(SelectorErrorCode(rawValue: code).vectors(isLongModeActive: false) == otherwise)
  }

  @Test(arguments: [(0x38, 0x38), (0x45, 0x44), (2, nil), (0, nil), (1, nil)] as [(UInt32, UInt16?)])
  func selectors(_ code: UInt32, _ selector: UInt16?) {
    #expect(SelectorErrorCode(rawValue: code).selector?.rawValue == selector)
    #expect(SelectorErrorCode(rawValue: code).isExternal == (code & 1 == 1))
  }
}
