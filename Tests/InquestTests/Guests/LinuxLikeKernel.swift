import Testing

/// A file in the form of a bzImage that does what a Linux kernel's first code does with its memory, written in machine code.
struct LinuxLikeKernel: Sendable {
  /// The whole file.
  let bytes: [UInt8]

  /// Where the kernel wants to run, and in how many bytes: 32 MiB in all.
  private static let start = 0x100_0000
  private static let room = 0x100_0000
  private static let setupSize = 1024

  /// How many bytes of nothing lie between the first code and the GDT, as the compressed kernel does.
  private static let payloadSize = 0x8000

  init() {
    bytes = Self.setup + Self.code + [UInt8](repeating: 0, count: Self.payloadSize) + Self.gdt(at: Self.gdtAddress)
  }

  private static var gdtAddress: Int { 0x10_0000 + code(gdt: 0).count + payloadSize }
  private static var code: [UInt8] { code(gdt: gdtAddress) }

  /// The boot sector with the header, and the code of real mode.
  private static var setup: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: setupSize)
    func put(_ values: [UInt8], at offset: Int) { bytes.replaceSubrange(offset..<offset + values.count, with: values) }
    let size = code.count + payloadSize + gdt(at: 0).count
    put([1], at: 0x1F1)  // setup_sects
    put(word((size + 15) / 16), at: 0x1F4)  // syssize
    put([0x55, 0xAA, 0xEB, 0x66], at: 0x1FE)  // jmp to 268H
    put(Array("HdrS".utf8) + [0x0F, 0x02], at: 0x202)
    put([1], at: 0x211)  // LOADED_HIGH
    put(word(0x10_0000), at: 0x214)
    put(word(0x20_0000) + [1], at: 0x230)  // kernel_alignment, relocatable_kernel
    put(word(start), at: 0x258)
    put(word(room), at: 0x260)
    let realMode: [UInt8] = [
      0xFA,  // cli
      0x66, 0x0F, 0x01, 0x16, 0xA0, 0x02,  // lgdt [0x2a0]
      0x0F, 0x20, 0xC0, 0x0C, 0x01, 0x0F, 0x22, 0xC0,  // CR0.PE
      0xB8, 0x18, 0x00, 0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xD0,  // ds, es, ss = 0x18
      0x66, 0xEA, 0x00, 0x00, 0x10, 0x00, 0x10, 0x00,  // jmp 0x10:0x100000
    ]
    put(realMode, at: 0x268)
    // QEMU puts the setup code to 10000H.
    put(gdt(at: 0x1_02A0), at: 0x2A0)
    return bytes
  }

  /// Of 32 bits: loads the GDT behind the payload, makes a page directory at the end of the room, turns on paging, and leaves through
  /// isa-debug-exit.
  private static func code(gdt: Int) -> [UInt8] {
    let loadGDT = [0x0F, 0x01, 0x15] + word(gdt)  // lgdt [gdt]
    let loadSegments: [UInt8] = [0x66, 0xB8, 0x18, 0x00, 0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xD0]  // ds, es, ss = 0x18
    let table = [0xBF] + word(start + room - 0x1000)  // mov edi, table
    let paging: [UInt8] = [
      0xC7, 0x07, 0x83, 0x00, 0x00, 0x00,  // mov dword [edi], 0x83: 4 MiB
      0x0F, 0x20, 0xE0, 0x0C, 0x10, 0x0F, 0x22, 0xE0,  // CR4.PSE
      0x0F, 0x22, 0xDF,  // mov cr3, edi
      0x0F, 0x20, 0xC0, 0x0D, 0x00, 0x00, 0x00, 0x80, 0x0F, 0x22, 0xC0,  // CR0.PG
    ]
    let exit: [UInt8] = [0x66, 0xBA, 0xF4, 0x00, 0xB0, 0x10, 0xEE, 0xF4, 0xEB, 0xFD]  // out 0xf4, 0x10; hlt
    return loadGDT + loadSegments + table + paging + exit
  }

  /// The operand of LGDT, and the table: flat segments, code at 10H and data at 18H.
  private static func gdt(at address: Int) -> [UInt8] {
    [0x1F, 0x00] + word(address + 16) + [UInt8](repeating: 0, count: 10 + 16) + [
      0xFF, 0xFF, 0, 0, 0, 0x9A, 0xCF, 0, 0xFF, 0xFF, 0, 0, 0, 0x92, 0xCF, 0,
    ]
  }

  private static func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
}
