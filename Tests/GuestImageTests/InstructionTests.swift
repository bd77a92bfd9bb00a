import GuestImage
import SeededRandom
import Testing
import X86

@Suite struct InstructionTests {
  static let vgaWrite: [UInt8] = [0x66, 0xC7, 0x05, 0x00, 0x80, 0x0B, 0x00, 0x48, 0x02]

  @Test func readsTheDyingInstructionInTheModeItRunsIn() throws {
    let image = try Fixtures.image(Fixtures.oneGiBPages)
    let bytes = image.bytes(atVirtual: LinearAddress(0x10006D), count: 15)
    let instruction = try Instruction.decode(bytes, at: 0x10006D, mode: .compatibility(bits: 32))
    #expect(instruction.text == "mov word ptr [0xb8000], 0x248")
    #expect(instruction.text(in: .att) == "movw $0x248, 0xb8000")
    #expect(instruction.mnemonic == "mov")
    #expect(instruction.bytes == Self.vgaWrite)
    #expect(instruction.operandWidth == 16)
    #expect(!instruction.isPrivileged)
    let operand = try #require(instruction.memoryOperands.first)
    #expect(operand.size == 2)
    #expect(operand.isWrite && !operand.isRead && operand.isExplicit)
    #expect(operand.memory?.segment == .ds && operand.memory?.base == nil && operand.memory?.displacement == 0xB8000)
    #expect(instruction.linearAddress(of: operand, in: processor()) == LinearAddress(0xB8000))
  }

  @Test func readsTheSameBytesAsRelativeIn64BitMode() throws {
    let instruction = try Instruction.decode(Self.vgaWrite, at: 0x10006D, mode: .long64)
    #expect(instruction.text == "mov word ptr [rip+0xb8000], 0x248")
    #expect(instruction.text(in: .att) == "movw $0x248, 0xb8000(%rip)")
    let operand = try #require(instruction.memoryOperands.first)
    #expect(operand.memory?.base == .instructionPointer(bits: 64))
    #expect(instruction.linearAddress(of: operand, in: processor()) == LinearAddress(0x1B8076))
  }

  @Test(
    arguments: [
      ("cut off", [0x66, 0xC7, 0x05, 0x00], .truncated),
      ("nothing", [], .truncated),
      ("push es in 64-bit mode", [0x06], .undefined),
      ("16 bytes", [UInt8](repeating: 0x66, count: 15) + [0x90], .tooLong),
      ("lock nop", [0xF0, 0x90], .illegalLock),
      ("mov cr1, rax", [0x0F, 0x22, 0xC8], .badRegister),
    ] as [(String, [UInt8], DecodingError)])
  func saysWhyBytesAreNoInstruction(name: String, bytes: [UInt8], error: DecodingError) {
    #expect(throws: error) { try Instruction.decode(bytes, at: 0, mode: .long64) }
  }

  @Test(
    arguments: [
      ("mov cr0, rax", [0x0F, 0x22, 0xC0]), ("lgdt", [0x0F, 0x01, 0x10]), ("lidt", [0x0F, 0x01, 0x18]),
      ("lldt", [0x0F, 0x00, 0xD0]), ("ltr", [0x0F, 0x00, 0xD8]), ("lmsw", [0x0F, 0x01, 0xF0]), ("clts", [0x0F, 0x06]),
      ("mov dr7, rax", [0x0F, 0x23, 0xF8]), ("hlt", [0xF4]), ("invd", [0x0F, 0x08]), ("wbinvd", [0x0F, 0x09]),
      ("invlpg", [0x0F, 0x01, 0x38]), ("rdmsr", [0x0F, 0x32]), ("wrmsr", [0x0F, 0x30]), ("swapgs", [0x0F, 0x01, 0xF8]),
      ("sysret", [0x48, 0x0F, 0x07]), ("xsetbv", [0x0F, 0x01, 0xD1]), ("mov rax, cr0", [0x0F, 0x20, 0xC0]),
      ("invpcid", [0x66, 0x0F, 0x38, 0x82, 0x00]), ("vmrun", [0x0F, 0x01, 0xD8]), ("skinit", [0x0F, 0x01, 0xDE]),
      ("sysexit", [0x0F, 0x35]),
      ("stac", [0x0F, 0x01, 0xCB]), ("clac", [0x0F, 0x01, 0xCA]), ("vmxon", [0xF3, 0x0F, 0xC7, 0x30]),
      ("wruss", [0x66, 0x0F, 0x38, 0xF5, 0x00]), ("xrstors", [0x0F, 0xC7, 0x18]), ("monitor", [0x0F, 0x01, 0xC8]),
    ] as [(String, [UInt8])])
  func knowsPrivilegedInstructions(name: String, bytes: [UInt8]) throws {
    #expect(try Instruction.decode(bytes, at: 0, mode: .long64).isPrivileged)
  }

  @Test(
    arguments: [
      ("in al, dx", [0xEC]), ("cli", [0xFA]), ("rdtsc", [0x0F, 0x31]), ("sgdt", [0x0F, 0x01, 0x00]), ("int3", [0xCC]),
      ("syscall", [0x0F, 0x05]), ("iretq", [0x48, 0xCF]), ("cpuid", [0x0F, 0xA2]), ("rdpmc", [0x0F, 0x33]),
    ] as [(String, [UInt8])])
  func knowsThatOthersDependOnMore(name: String, bytes: [UInt8]) throws {
    #expect(try Instruction.decode(bytes, at: 0, mode: .long64).isPrivileged == false)
  }

  @Test func namesFeaturesTargetsAndRegisters() throws {
    let random = try Instruction.decode([0x0F, 0xC7, 0xF0], at: 0, mode: .long64)
    #expect(random.isaExtension == "RDRAND")
    let jump = try Instruction.decode([0xEB, 0xFE], at: 0x7C00, mode: .real)
    #expect(jump.branchTarget == 0x7C00)
    #expect(jump.category == "UNCOND_BR" && !jump.isFarBranch)
    let far = try Instruction.decode([0xEA, 0x84, 0, 0x10, 0, 8, 0], at: 0, mode: .protected(bits: 32))
    #expect(far.operands.first?.value == .farPointer(selector: 8, offset: 0x100084))
    #expect(far.isFarBranch && far.branchTarget == nil)
    let control = try Instruction.decode([0x0F, 0x22, 0xC0], at: 0, mode: .protected(bits: 32))
    #expect(
      control.operands.map(\.value).prefix(2) == [
        .register(.control(number: 0)), .register(.general(number: 0, bits: 32)),
      ])
    let bytes = try Instruction.decode([0x88, 0xE0], at: 0, mode: .long64)
    #expect(
      bytes.operands.map(\.value) == [
        .register(.general(number: 0, bits: 8)), .register(.highByte(number: 0)),
      ])
    let extended = try Instruction.decode([0x45, 0x88, 0xF7], at: 0, mode: .long64)
    #expect(
      extended.operands.map(\.value) == [
        .register(.general(number: 15, bits: 8)), .register(.general(number: 14, bits: 8)),
      ])
    let segment = try Instruction.decode([0x8E, 0xD8], at: 0, mode: .real)
    #expect(segment.operands.first?.value == .register(.segment(.ds)))
  }

  @Test func decodesWhatTheProcessorWouldRunNext() throws {
    var state = processor()
    state.cs.attributes = [.present, .codeOrData, .code, .big]
    state.ss.attributes = [.present, .codeOrData]
    state.rip = 0x10006D
    let instruction = try Instruction.decodeNext([0x50], in: state)
    #expect(instruction.mode == .compatibility(bits: 32))
    #expect(instruction.stackWidth == 16)
    #expect(instruction.text == "push eax")
  }

  @Test func decodesAnyBytesWithoutTrapping() {
    var random = SeededGenerator(seed: 4)
    let state = processor()
    let modes: [ProcessorMode] = [.real, .protected(bits: 16), .protected(bits: 32), .compatibility(bits: 32), .long64]
    var decoded = 0
    for round in 0..<20_000 {
      let bytes = (0..<15).map { _ in UInt8.random(in: 0...255, using: &random) }
      let address = UInt64.random(in: 0 ... .max, using: &random)
      guard let instruction = try? Instruction.decode(bytes, at: address, mode: modes[round % modes.count]) else {
        continue
      }
      decoded += 1
      #expect((1...15).contains(instruction.length) && !instruction.text.isEmpty)
      for operand in instruction.memoryOperands { _ = instruction.linearAddress(of: operand, in: state) }
    }
    #expect(decoded > 10_000)
  }
}

@Suite struct EffectiveAddressTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var assembly: String
    var bytes: [UInt8]
    var mode: ProcessorMode = .long64
    /// The operand's place among the instruction's operands in memory.
    var operand = 0
    var address: UInt64?

    var testDescription: String { "\(assembly) [\(operand)], \(mode)" }
  }

  /// rax 0x1000, rcx -65, rdx 0x8000_0000_0000, rbx 0xFFFF_FFF8, rsp 0x1_0000_0002, rbp 0x5000, rsi 0x6000, rdi 0x7000;
  /// bases: ds 0x10000, ss 0x20000, es 0x30000, fs 0x40000, gs 0xFFFF_8000_0000_0000.
  static var state: ProcessorState {
    var state = processor()
    state.generalPurpose.rax = 0x1000
    state.generalPurpose.rcx = UInt64(bitPattern: -65)
    state.generalPurpose.rdx = 0x8000_0000_0000
    state.generalPurpose.rbx = 0xFFFF_FFF8
    state.generalPurpose.rsp = 0x1_0000_0002
    state.generalPurpose.rbp = 0x5000
    state.generalPurpose.rsi = 0x6000
    state.generalPurpose.rdi = 0x7000
    state.ds.base = 0x10000
    state.ss.base = 0x20000
    state.es.base = 0x30000
    state.fs.base = 0x40000
    state.gs.base = 0xFFFF_8000_0000_0000
    return state
  }

  @Test(arguments: [
    Case(assembly: "mov eax, [rax]", bytes: [0x8B, 0x00], address: 0x1000),
    Case(assembly: "mov eax, [eax]", bytes: [0x8B, 0x00], mode: .protected(bits: 32), address: 0x11000),
    Case(assembly: "mov eax, [rdx+rsi*4-8]", bytes: [0x8B, 0x44, 0xB2, 0xF8], address: 0x8000_0001_7FF8),
    Case(assembly: "mov eax, [ebx+0x10], wraps at 32 bits", bytes: [0x67, 0x8B, 0x43, 0x10], address: 8),
    Case(
      assembly: "mov eax, [ebx+0x10], linear address wraps too", bytes: [0x8B, 0x43, 0x10], mode: .protected(bits: 32),
      address: 0x10008),
    Case(assembly: "mov eax, fs:[ebx]", bytes: [0x67, 0x64, 0x8B, 0x03], address: 0x1_0003_FFF8),
    Case(
      assembly: "mov rax, gs:[0x28]", bytes: [0x65, 0x48, 0x8B, 0x04, 0x25, 0x28, 0, 0, 0],
      address: 0xFFFF_8000_0000_0028),
    Case(assembly: "mov eax, es:[rax], no base in 64-bit mode", bytes: [0x26, 0x8B, 0x00], address: 0x1000),
    Case(assembly: "mov eax, [eip+1]", bytes: [0x67, 0x8B, 0x05, 1, 0, 0, 0], address: 0x8008),
    Case(assembly: "mov eax, [rip-1]", bytes: [0x8B, 0x05, 0xFF, 0xFF, 0xFF, 0xFF], address: 0x1_0000_8005),
    Case(assembly: "mov ax, [bp+si-2]", bytes: [0x8B, 0x42, 0xFE], mode: .real, address: 0x2AFFE),
    Case(assembly: "mov ax, [bx+di], wraps at 16 bits", bytes: [0x8B, 0x01], mode: .real, address: 0x16FF8),
    Case(assembly: "mov eax, moffs64", bytes: [0xA1, 8, 7, 6, 5, 4, 3, 2, 1], address: 0x0102_0304_0506_0708),
    Case(assembly: "xlat", bytes: [0xD7], address: 0xFFFF_FFF8),
    Case(assembly: "lea rax, [rax+1]", bytes: [0x48, 0x8D, 0x40, 1], address: 0x1001),
    Case(assembly: "movsb, destination", bytes: [0xA4], mode: .protected(bits: 32), operand: 0, address: 0x37000),
    Case(assembly: "movsb, source", bytes: [0xA4], mode: .protected(bits: 32), operand: 1, address: 0x16000),
    Case(assembly: "push rax", bytes: [0x50], address: 0xFFFF_FFFA),
    Case(assembly: "push ax", bytes: [0x66, 0x50], address: 0x1_0000_0000),
    Case(assembly: "push qword [rax], source", bytes: [0xFF, 0x30], operand: 0, address: 0x1000),
    Case(assembly: "push qword [rax], stack", bytes: [0xFF, 0x30], operand: 1, address: 0xFFFF_FFFA),
    Case(
      assembly: "push eax, the stack wraps", bytes: [0x50], mode: .protected(bits: 32), address: 0x1_FFFE),
    Case(assembly: "pusha", bytes: [0x60], mode: .protected(bits: 32), address: 0x1_FFE2),
    Case(assembly: "pop rax", bytes: [0x58], address: 0x1_0000_0002),
    Case(assembly: "pop qword [rsp+8], destination", bytes: [0x8F, 0x44, 0x24, 8], operand: 0, address: 0x1_0000_0012),
    Case(assembly: "pop qword [rsp+8], stack", bytes: [0x8F, 0x44, 0x24, 8], operand: 1, address: 0x1_0000_0002),
    Case(assembly: "call", bytes: [0xE8, 0, 0, 0, 0], address: 0xFFFF_FFFA),
    Case(assembly: "call in real mode", bytes: [0xE8, 0, 0], mode: .real, address: 0x20000),
    Case(assembly: "call far [rax], target", bytes: [0xFF, 0x18], operand: 0, address: 0x1000),
    Case(assembly: "call far [rax], stack", bytes: [0xFF, 0x18], operand: 1, address: nil),
    Case(assembly: "enter", bytes: [0xC8, 0x10, 0, 1], address: nil),
    Case(assembly: "leave", bytes: [0xC9], address: 0x5000),
    Case(assembly: "ret", bytes: [0xC3], address: 0x1_0000_0002),
    Case(assembly: "bts [rax], rcx: bit -65", bytes: [0x48, 0x0F, 0xAB, 0x08], address: 0x0FF0),
    Case(assembly: "bt [rax], ecx: bit -65", bytes: [0x0F, 0xA3, 0x08], address: 0x0FF4),
    Case(assembly: "bt [rax], cx: bit -65", bytes: [0x66, 0x0F, 0xA3, 0x08], address: 0x0FF6),
    Case(assembly: "bt [rax], 65: within the operand", bytes: [0x48, 0x0F, 0xBA, 0x20, 65], address: 0x1000),
    Case(assembly: "vgatherdpd xmm0, [rax+xmm1], xmm2", bytes: [0xC4, 0xE2, 0xE9, 0x92, 0x04, 0x08], address: nil),
  ])
  func followsSegmentationAndWidths(_ test: Case) throws {
    let instruction = try Instruction.decode(test.bytes, at: 0x1_0000_8000, mode: test.mode)
    let operand = try #require(instruction.memoryOperands.dropFirst(test.operand).first)
    let address = instruction.linearAddress(of: operand, in: Self.state)
    #expect(address == test.address.map { LinearAddress($0) }, "\(instruction.text)")
  }

  @Test(
    arguments: [
      ("lea", [0x48, 0x8D, 0x00]), ("nop [rax]", [0x0F, 0x1F, 0x00]), ("prefetcht0", [0x0F, 0x18, 0x08]),
      ("invlpg", [0x0F, 0x01, 0x38]), ("prefetchw", [0x0F, 0x0D, 0x08]),
    ] as [(String, [UInt8])])
  func knowsWhatOnlyFormsAnAddress(name: String, bytes: [UInt8]) throws {
    let operand = try #require(Instruction.decode(bytes, at: 0, mode: .long64).memoryOperands.first)
    #expect(operand.memory?.purpose == .addressOnly)
    #expect(!operand.isRead && !operand.isWrite)
  }
}
