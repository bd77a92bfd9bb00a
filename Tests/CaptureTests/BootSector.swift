import Foundation

/// A 512-byte disk that SeaBIOS boots: a guest that does one thing.
struct BootSector {
  var name: String
  var code: [UInt8]

  /// Writes a mark to 0x8000, then ends QEMU through isa-debug-exit with status 85.
  static let debugExit = Self(
    name: "debug-exit",
    code: [
      0xB8, 0x34, 0x12,  // mov ax, 0x1234
      0xA3, 0x00, 0x80,  // mov [0x8000], ax
      0xB0, 0x2A, 0xE6, 0xF4,  // mov al, 42; out 0xf4, al
      0xF4,  // hlt
    ])
  /// An interrupt without an interrupt table: a triple fault, at 0x7C06.
  static let tripleFault = Self(
    name: "triple-fault",
    code: [
      0xFA,  // cli
      0x0F, 0x01, 0x1E, 0x10, 0x7C,  // lidt [0x7c10], which is zero
      0xCC,  // int3
    ])
  /// Resets the machine through the keyboard controller; at its second start, which it knows by a byte of CMOS RAM,
  /// it ends QEMU with status 43.
  static let resetOnce = Self(
    name: "reset-once",
    code: [
      0xB0, 0x7F, 0xE6, 0x70, 0xE4, 0x71,  // mov al, 0x7f; out 0x70, al; in al, 0x71
      0x84, 0xC0, 0x75, 0x0D,  // test al, al; jnz second
      0xB0, 0x7F, 0xE6, 0x70, 0xB0, 0x01, 0xE6, 0x71,  // cmos[0x7f] = 1
      0xB0, 0xFE, 0xE6, 0x64, 0xF4,  // mov al, 0xfe; out 0x64, al; hlt
      0xB0, 0x15, 0xE6, 0xF4, 0xF4,  // second: mov al, 21; out 0xf4, al; hlt
    ])
  /// Powers the machine `pc` off: SLP_EN in PM1a_CNT of the PIIX4, where SeaBIOS puts it.
  static let powerOff = Self(
    name: "power-off",
    code: [0xBA, 0x04, 0x06, 0xB8, 0x00, 0x20, 0xEF, 0xF4])  // mov dx, 0x604; mov ax, 0x2000; out dx, ax; hlt
  /// Writes CR0 twenty thousand times, each time coming by the address 0x7C09, then ends QEMU with status 85.
  static let loop = Self(
    name: "loop",
    code: [
      0xB9, 0x20, 0x4E,  // mov cx, 20000
      0x0F, 0x20, 0xC0, 0x0F, 0x22, 0xC0,  // mov eax, cr0; mov cr0, eax
      0xE2, 0xF8,  // loop
      0xB0, 0x2A, 0xE6, 0xF4, 0xF4,  // mov al, 42; out 0xf4, al; hlt
    ])
  /// Waits for ever with interrupts off.
  static let hang = Self(name: "hang", code: [0xFA, 0xF4, 0xEB, 0xFD])  // cli; hlt; jmp to the hlt

  /// Runs `body` with the path of a file that holds the sector.
  func withFile<Result>(_ body: (String) throws -> Result) throws -> Result {
    let sector = code + [UInt8](repeating: 0, count: 510 - code.count) + [0x55, 0xAA]
    return try withTemporaryFile(named: name, sector, body)
  }
}

/// A kernel that ends QEMU with status 85 by its first instructions, after a Multiboot header with addresses (flag
/// bit 16). On the machine `microvm` it is started in no time also where KVM emulates every instruction.
func withKernel<Result>(_ body: (String) throws -> Result) throws -> Result {
  let magic: UInt32 = 0x1BAD_B002
  let flags: UInt32 = 1 << 16
  let header = [magic, flags, 0 &- magic &- flags, 0x100000, 0x100000, 0, 0, 0x100020]
  let code: [UInt8] = [0xB0, 0x2A, 0xE6, 0xF4, 0xF4]  // mov al, 42; out 0xf4, al; hlt
  let bytes = header.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) } }
  return try withTemporaryFile(named: "kernel", bytes + code, body)
}

private func withTemporaryFile<Result>(
  named name: String, _ bytes: [UInt8], _ body: (String) throws -> Result
) throws -> Result {
  let file = FileManager.default.temporaryDirectory.appending(path: "\(name)-\(UUID().uuidString).img")
  try Data(bytes).write(to: file)
  defer { try? FileManager.default.removeItem(at: file) }
  return try body(file.path)
}
