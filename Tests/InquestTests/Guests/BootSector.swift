import Testing

/// A guest of one disk sector that does a single thing in real mode, written in machine code: there is no assembler to
/// rely on. SeaBIOS loads it at 7C00H.
struct BootSector: Sendable {
  private var code: [UInt8]

  /// The 512 bytes of the disk.
  var bytes: [UInt8] { code + [UInt8](repeating: 0, count: 510 - code.count) + [0x55, 0xAA] }

  /// The options that boot it.
  func options(in folder: Folder) throws -> [String] {
    ["-drive", "format=raw,file=\(try folder.write(bytes, to: "disk"))"]
  }

  /// Prints R and runs on for ever.
  static let runsForEver = BootSector(code: print("R") + [0xEB, 0xFE])  // jmp .

  /// Prints H and halts with interrupts off.
  static let halts = BootSector(code: print("H") + [0xFA] + halt)  // cli

  /// Prints C, computes with interrupts off for some seconds under TCG, and leaves through isa-debug-exit.
  static let computes = BootSector(
    code: print("C") + [
      0xFA,  // cli
      0x66, 0xB9, 0x00, 0x00, 0x00, 0x80,  // mov ecx, 0x80000000
      0x66, 0x49,  // loop: dec ecx
      0x75, 0xFC,  // jnz loop
    ] + exit)

  /// Writes a word on the screen through the BIOS and halts with interrupts off.
  static let writesOnScreen = BootSector(
    // mov ax, 0x0e00 + $0; int 0x10; cli
    code: "Refused".utf8.flatMap { [0xB8, $0, 0x0E, 0xCD, 0x10] } + [0xFA] + halt)

  /// Prints W and waits for interrupts for ever.
  static let waits = BootSector(code: print("W") + [0xFB] + halt)  // sti

  /// Prints E, waits for a character on COM1, prints that and leaves through isa-debug-exit.
  static let echoes = BootSector(
    code: print("E") + [
      0xBA, 0xFD, 0x03,  // mov dx, 0x3fd (COM1's line status)
      0xEC,  // wait: in al, dx
      0xA8, 0x01,  // test al, 1 (data ready)
      0x74, 0xFB,  // jz wait
      0xBA, 0xF8, 0x03,  // mov dx, 0x3f8
      0xEC,  // in al, dx
      0xEE,  // out dx, al
    ] + exit)

  /// Raises an exception without an interrupt table.
  static let tripleFaults = BootSector(
    code: [
      0x0F, 0x01, 0x1E, 0x00, 0x7E,  // lidt [0x7e00]: zeros follow the sector
      0xCC,  // int3
    ])

  /// Prints O and turns the machine off: SLP_EN with type 0 (S5) into PM1a_CNT, where SeaBIOS puts it on the pc machine.
  static let turnsOff = BootSector(
    code: print("O") + [
      0xBA, 0x04, 0x06,  // mov dx, 0x604
      0xB8, 0x00, 0x20,  // mov ax, 0x2000
      0xEF,  // out dx, ax
    ] + halt)

  /// Prints 1 and resets the machine; the second time, prints 2 and leaves through isa-debug-exit. A byte of the CMOS
  /// memory, which a reset does not clear, tells the times apart.
  static func resetsOnce(by reset: Reset) -> BootSector {
    let second =
      print("2") + exit
    return BootSector(
      code: [
        0xB0, 0x60, 0xE6, 0x70,  // mov al, 0x60; out 0x70, al
        0xE4, 0x71,  // in al, 0x71
        0x3C, 0x5A,  // cmp al, 0x5a
        0x75, UInt8(second.count),  // jne first
      ] + second + print("1") + [
        0xB0, 0x60, 0xE6, 0x70,  // first: mov al, 0x60; out 0x70, al
        0xB0, 0x5A, 0xE6, 0x71,  // mov al, 0x5a; out 0x71, al
      ] + reset.code + halt)
  }

  private static func print(_ character: Unicode.Scalar) -> [UInt8] {
    [
      0xBA, 0xF8, 0x03,  // mov dx, 0x3f8 (COM1)
      0xB0, UInt8(ascii: character),  // mov al, character
      0xEE,  // out dx, al
    ]
  }

  private static let exit: [UInt8] = [
    0xBA, 0xF4, 0x00,  // mov dx, 0xf4
    0xB0, 0x00,  // mov al, 0
    0xEE,  // out dx, al
  ]

  private static let halt: [UInt8] = [0xF4, 0xEB, 0xFD]  // hlt; jmp back to it
}

/// A way in which guests reset the machine.
enum Reset: CaseIterable, CustomTestStringConvertible {
  case keyboardController
  case chipset

  var testDescription: String {
    switch self {
    case .keyboardController: "port 0x64"
    case .chipset: "port 0xcf9"
    }
  }

  /// How a verdict tells it.
  var words: String {
    switch self {
    case .keyboardController: "through port 0x64, the keyboard controller"
    case .chipset: "through port 0xcf9, the chipset's reset control register"
    }
  }

  fileprivate var code: [UInt8] {
    switch self {
    case .keyboardController: [0xB0, 0xFE, 0xE6, 0x64]  // mov al, 0xfe; out 0x64, al
    case .chipset: [0xBA, 0xF9, 0x0C, 0xB0, 0x06, 0xEE]  // mov dx, 0xcf9; mov al, 6; out dx, al
    }
  }
}
