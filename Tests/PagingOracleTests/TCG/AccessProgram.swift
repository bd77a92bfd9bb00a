import X86

/// A guest that makes accesses for the test and notes what came of each: TCG's own walker decides them.
///
/// The guest's pages lie in the last 1 MiB of its RAM, and in the address space under test where the tests' random tables
/// never lead: under one entry of the root that they leave alone. A mailbox holds the registers of a run and its records;
/// the guest takes them when their number is not zero, and sets that to zero when it is done. Every access ends in an
/// exception: the one that it raises, or #BP by the INT3 behind it.
struct AccessProgram {
  /// The records' and the mailbox's fields are 8 bytes each; the program for 32-bit modes looks at their lower halves.
  enum Field {
    /// Of the mailbox.
    static let count = 0x04
    static let (cr0, cr3, cr4, efer) = (0x08, 0x10, 0x18, 0x20)
    /// CR4 with which PKRU and IA32_PKRS are written.
    static let (cr4ForKeys, pkru, pkrs) = (0x28, 0x30, 0x38)
    static let (records, stack) = (0x40, 0x48)
    static let (gdtr, idtr, bootRoot) = (0x50, 0x60, 0x70)
    /// Of a record: what is accessed, from where, with which registers.
    static let (address, rip, cs, rflags, ss, ldtr, value) = (0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30)
    /// Of a record: what came of it. The value is then what AL holds.
    static let (vector, errorCode, savedRIP, cr2) = (0x38, 0x40, 0x48, 0x50)
    static let recordSize = 0x60
  }

  /// The offsets of the guest's pages, in its part of RAM and in its linear addresses.
  enum Page {
    static let gdt = 0x0000
    static let idt = 0x1000
    static let code = 0x2000
    static let tss = 0x3000
    static let mailbox = 0x3100
    static let stackTop = 0x5000
    static let records = 0x5000
    /// The code once more, for user mode; in linear addresses alone.
    static let userCode = 0xF000
    static let pageCount = 16
    static let (pdpt, pd, pt, pml4, bootRoot) = (0x10000, 0x11000, 0x12000, 0x13000, 0x14000)
  }

  /// As many as the GDT has places for their LDTs.
  static let maximumRecords = (0x1000 - firstLDT) / 16

  /// Where in the code each instruction is, which INT3 follows.
  enum Instruction: Int {
    /// MOV AL, [RDI]
    case read = 0x100
    /// MOV [RDI], AL
    case write = 0x110
    /// LAR EAX, CX, whose selector is the first of the LDT, and that begins at the address under test.
    case readDescriptor = 0x120
  }

  /// The number of an entry of the root that random tables leave alone.
  static let rootIndex = 3
  static let (supervisorCode, supervisorData, userCode, userData, taskState) = (0x08, 0x10, 0x1B, 0x23, 0x38)
  /// The first of the GDT's places for LDTs, one for each record.
  static let firstLDT = 0x80

  let mode: PagingMode
  let ram: GuestRAM
  /// Where the guest's pages begin in physical memory.
  let base: Int
  var isLong: Bool { mode == .fourLevel || mode == .fiveLevel }

  init(mode: PagingMode, ram: GuestRAM) {
    self.mode = mode
    self.ram = ram
    base = ram.size - 1 << 20
    writeTables()
    writeDescriptors()
    writeCode()
  }

  /// Where the guest's pages begin in linear addresses.
  var linearBase: UInt64 {
    let index = UInt64(Self.rootIndex)
    return switch mode {
    case .none: 0
    case .twoLevel: index << 22
    case .pae: 2 << 30 | index << 21
    case .fourLevel: index << 39
    case .fiveLevel: index << 48
    }
  }

  func linear(_ offset: Int) -> UInt64 { linearBase + UInt64(offset) }

  /// Whether an address is of the guest's own pages.
  func owns(_ address: PhysicalAddress) -> Bool {
    address.rawValue >= UInt64(base) && address.rawValue < UInt64(base + 1 << 20)
  }

  // MARK: Tables

  /// Puts the guest's pages into an address space; of PAE paging they take up the third of the PDPTEs.
  func enter(root: Int) {
    switch mode {
    case .none: break
    case .twoLevel: ram.store(UInt32(base + Page.pt | 0x67), at: root + 4 * Self.rootIndex)
    case .pae: ram[root + 8 * 2] = UInt64(base + Page.pd | 1)
    case .fourLevel: ram[root + 8 * Self.rootIndex] = UInt64(base + Page.pdpt | 0x67)
    case .fiveLevel: ram[root + 8 * Self.rootIndex] = UInt64(base + Page.pml4 | 0x67)
    }
  }

  private func writeTables() {
    for page in 0..<Page.pageCount { writePTE(page) }
    ram[base + Page.pd] = UInt64(base + Page.pt | 0x67)
    ram[base + Page.pd + 8 * Self.rootIndex] = UInt64(base + Page.pt | 0x67)
    ram[base + Page.pdpt] = UInt64(base + Page.pd | 0x67)
    ram[base + Page.pml4] = UInt64(base + Page.pdpt | 0x67)
    // At the start the GDTR is 0 with a limit of 64 KiB: the guest's pages are there too.
    enter(root: base + Page.bootRoot)
    switch mode {
    case .none: break
    case .twoLevel: ram.store(UInt32(base + Page.pt | 0x67), at: base + Page.bootRoot)
    case .pae: ram[base + Page.bootRoot] = UInt64(base + Page.pd | 1)
    case .fourLevel: ram[base + Page.bootRoot] = UInt64(base + Page.pdpt | 0x67)
    case .fiveLevel: ram[base + Page.bootRoot] = UInt64(base + Page.pml4 | 0x67)
    }
  }

  /// Supervisor pages with key 5, whose rights a run leaves alone, and one user page.
  private func writePTE(_ page: Int) {
    let isUser = page << 12 == Page.userCode
    let frame = base + (isUser ? Page.code : page << 12)
    let key: UInt64 = isLong ? UInt64(Self.key) << 59 : 0
    let entry = UInt64(frame | (isUser ? 0x67 : 0x63)) | key
    if mode == .twoLevel {
      ram.store(UInt32(truncatingIfNeeded: entry), at: base + Page.pt + 4 * page)
    } else {
      ram[base + Page.pt + 8 * page] = entry
    }
  }

  /// The protection key of the guest's own pages.
  static let key = 5

  // MARK: Descriptors

  private func writeDescriptors() {
    let code: UInt64 = isLong ? 0x00AF_9B00_0000_FFFF : 0x00CF_9B00_0000_FFFF
    let dpl3: UInt64 = 3 << 45
    ram[base + Page.gdt + Self.supervisorCode] = code
    ram[base + Page.gdt + Self.supervisorData] = 0x00CF_9300_0000_FFFF
    ram[base + Page.gdt + Self.userCode & ~7] = code | dpl3
    ram[base + Page.gdt + Self.userData & ~7] = 0x00CF_9300_0000_FFFF | dpl3
    // An available 64-bit or 32-bit TSS, present.
    writeSystemDescriptor(at: Self.taskState, base: linear(Page.tss), limit: 0x67, type: 9)
    // RSP0, or ESP0 and SS0.
    ram[base + Page.tss + 4] = linear(Page.stackTop)
    if !isLong { ram.store(UInt32(Self.supervisorData), at: base + Page.tss + 8) }
    for vector in 0..<32 { writeGate(vector) }
    ram.store(UInt16(0xFFF), at: base + Page.mailbox + Field.gdtr)
    ram[base + Page.mailbox + Field.gdtr + 2] = linear(Page.gdt)
    ram.store(UInt16(0xFFF), at: base + Page.mailbox + Field.idtr)
    ram[base + Page.mailbox + Field.idtr + 2] = linear(Page.idt)
    ram[base + Page.mailbox + Field.stack] = linear(Page.stackTop)
    ram[base + Page.mailbox + Field.records] = linear(Page.records)
    ram[base + Page.mailbox + Field.bootRoot] = UInt64(base + Page.bootRoot)
  }

  private func writeSystemDescriptor(at place: Int, base address: UInt64, limit: UInt64, type: UInt64) {
    let low = limit | (address & 0xFF_FFFF) << 16 | type << 40 | 1 << 47 | (address >> 24 & 0xFF) << 56
    ram[base + Page.gdt + place] = low
    if isLong { ram[base + Page.gdt + place + 8] = address >> 32 }
  }

  /// The selector of an LDT for a record, whose one descriptor is at `address`.
  func makeLDT(_ record: Int, at address: UInt64) -> Int {
    let place = Self.firstLDT + 16 * record
    writeSystemDescriptor(at: place, base: address, limit: 7, type: 2)
    return place
  }

  /// An interrupt gate that user mode may use, for INT3.
  private func writeGate(_ vector: Int) {
    let handler = linear(Page.code + Self.entry(vector))
    let low = handler & 0xFFFF | UInt64(Self.supervisorCode) << 16 | 0xEE << 40 | (handler >> 16 & 0xFFFF) << 48
    let place = base + Page.idt + vector * (isLong ? 16 : 8)
    ram[place] = low
    if isLong { ram[place + 8] = handler >> 32 }
  }

  // MARK: Code

  /// Where the handler of a vector begins.
  private static func entry(_ vector: Int) -> Int { 0x200 + 16 * vector }

  private static let vectorsWithErrorCode: Set<Int> = [8, 10, 11, 12, 13, 14, 17]

  private func writeCode() {
    let program = program
    let common = 0x130
    ram.store(program.main, at: base + Page.code)
    ram.store([0x8A, 0x07, 0xCC], at: base + Page.code + Instruction.read.rawValue)
    ram.store([0x88, 0x07, 0xCC], at: base + Page.code + Instruction.write.rawValue)
    ram.store([0x0F, 0x02, 0xC1, 0xCC], at: base + Page.code + Instruction.readDescriptor.rawValue)
    ram.store(program.common(common), at: base + Page.code + common)
    for vector in 0..<32 {
      // push 0 in place of an error code; push the vector; jmp common
      var code: [UInt8] = Self.vectorsWithErrorCode.contains(vector) ? [] : [0x6A, 0]
      code += [0x6A, UInt8(vector)]
      code += Self.jump([0xE9], from: Self.entry(vector) + code.count, to: common)
      ram.store(code, at: base + Page.code + Self.entry(vector))
    }
  }

  /// A jump with a distance of 32 bits.
  private static func jump(_ opcode: [UInt8], from place: Int, to target: Int) -> [UInt8] {
    let distance = Int32(target - place - opcode.count - 4)
    return opcode + (0..<4).map { UInt8(truncatingIfNeeded: distance >> Int32(8 * $0)) }
  }

  /// The program with RBP at the mailbox and RSI at the record; without the REX prefixes it is the one for 32-bit modes.
  private var program: (main: [UInt8], common: (Int) -> [UInt8]) {
    let wide: [UInt8] = isLong ? [0x48] : []
    let start: [UInt8] = [
      0x0F, 0x01, 0x55, 0x50,  // lgdt [rbp+gdtr]
      0x0F, 0x01, 0x5D, 0x60,  // lidt [rbp+idtr]
      0xB8, 0x38, 0x00, 0x00, 0x00,  // mov eax, taskState
      0x0F, 0x00, 0xD8,  // ltr ax
    ]
    let idle: [UInt8] = [
      0xF3, 0x90,  // idle: pause
      0x83, 0x7D, 0x04, 0x00,  // cmp dword [rbp+count], 0
      0x74, 0xF8,  // je idle
      0xB9, 0x80, 0x00, 0x00, 0xC0, 0x8B, 0x45, 0x20, 0x31, 0xD2, 0x0F, 0x30,  // efer = [rbp+efer]
    ]
    let keys =
      wide + [0x8B, 0x45, 0x28, 0x0F, 0x22, 0xE0] + [  // cr4 = [rbp+cr4ForKeys]
        0xA9, 0x00, 0x00, 0x40, 0x00, 0x74, 0x12,  // test eax, PKE; je past the keys
        0x31, 0xC9, 0x8B, 0x45, 0x30, 0x0F, 0x01, 0xEF,  // pkru = [rbp+pkru]
        0xB9, 0xE1, 0x06, 0x00, 0x00, 0x8B, 0x45, 0x38, 0x0F, 0x30,  // pkrs = [rbp+pkrs]
      ]
    let registers =
      wide + [0x8B, 0x45, 0x18, 0x0F, 0x22, 0xE0]  // cr4 = [rbp+cr4]
      + wide + [0x8B, 0x45, 0x08, 0x0F, 0x22, 0xC0]  // cr0 = [rbp+cr0]
      + wide + [0x8B, 0x75, 0x40]  // mov rsi, [rbp+records]
      + [0x8B, 0x5D, 0x04]  // mov ebx, [rbp+count]
    let access =
      wide + [0x8B, 0x45, 0x10, 0x0F, 0x22, 0xD8]  // next: cr3 = [rbp+cr3], which forgets all translations
      + [0x31, 0xC0, 0x0F, 0x22, 0xD0]  // cr2 = 0
      + [0x8B, 0x46, 0x28, 0x0F, 0x00, 0xD0]  // ldtr = [rsi+ldtr]
      + [0xFF, 0x76, 0x20, 0xFF, 0x75, 0x48]  // push [rsi+ss], [rbp+stack]
      + [0xFF, 0x76, 0x18, 0xFF, 0x76, 0x10, 0xFF, 0x76, 0x08]  // push [rsi+rflags], [rsi+cs], [rsi+rip]
      + wide + [0x8B, 0x3E]  // mov rdi, [rsi+address]
      + [0x8B, 0x46, 0x30]  // mov eax, [rsi+value]
      + [0xB9, 0x04, 0x00, 0x00, 0x00]  // mov ecx, 4
      + wide + [0xCF]  // iret
    let (idlePlace, next) = (start.count, start.count + idle.count + keys.count + registers.count)
    let note =
      wide + [0x89, 0x46, 0x30]  // common: [rsi+value] = rax
      + [0x58] + wide + [0x89, 0x46, 0x38]  // pop [rsi+vector]
      + [0x58] + wide + [0x89, 0x46, 0x40]  // pop [rsi+errorCode]
      + [0x58] + wide + [0x89, 0x46, 0x48]  // pop [rsi+savedRIP]
      + [0x0F, 0x20, 0xD0] + wide + [0x89, 0x46, 0x50]  // [rsi+cr2] = cr2
      + wide + [0x8B, 0x65, 0x48]  // mov rsp, [rbp+stack]
      + wide + [0x83, 0xC6, 0x60]  // add rsi, recordSize
      + [0x83, 0xEB, 0x01]  // sub ebx, 1
    // While it waits, the guest is in an address space that the test does not change.
    let done =
      wide + [0x8B, 0x45, 0x70, 0x0F, 0x22, 0xD8]  // cr3 = [rbp+bootRoot]
      + [0x89, 0x5D, 0x04]  // [rbp+count] = ebx
    let common: (Int) -> [UInt8] = { place in
      var code = note
      code += Self.jump([0x0F, 0x85], from: place + code.count, to: next)  // jne next
      code += done
      return code + Self.jump([0xE9], from: place + code.count, to: idlePlace)  // jmp idle
    }
    return (start + idle + keys + registers + access, common)
  }
}
