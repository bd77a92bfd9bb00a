import Investigation
import QEMU
import SeededRandom
import Testing
import X86

/// What the bytes of a `Code=` line are said to prove.
@Suite("bytes around RIP")
struct InstructionObservationTests {
  /// A dump in 64-bit mode whose `Code=` line has 20 bytes before RIP.
  private func observations(
    before: [UInt8] = [UInt8](repeating: 0x90, count: 20), _ bytes: [UInt8],
    _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> [String] {
    var state = Story.state(rip: 0xFFFF_FFFF_8000_1000, cr2: 0, idtLimit: 0xFFF)
    state.cs.attributes = SegmentAttributes(rawValue: 0xa0_9b00)
    state.cs.selector = SegmentSelector(rawValue: 0x10)
    change(&state)
    let all = before + bytes + [UInt8](repeating: 0x90, count: max(0, 30 - bytes.count))
    var lines = RegisterDumpText(state).lines
    lines.append(
      "Code="
        + all.enumerated().map { index, byte in
          let text = String(byte >> 4, radix: 16) + String(byte & 0xF, radix: 16)
          return index == before.count ? "<\(text)>" : text
        }.joined(separator: " "))
    var scene = Scene()
    scene.log = Sourced.messages(of: QEMULog.parse(lines.joined(separator: "\n")), named: "log")
    scene.processors = [Story.processor(state)]
    return Investigator.verdict(on: scene).observations.map(\.text)
  }

  private func expect(_ texts: [String], _ words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
    for word in words {
      #expect(texts.contains { $0.contains(word) }, "\(word): \(texts)", sourceLocation: sourceLocation)
    }
  }

  @Test("the instruction with its operands' values")
  func operands() {
    expect(
      observations([0x0F, 0x29, 0x03]) { state in  // movaps [rbx], xmm0
        state.generalPurpose.rbx = 0x1234_5678_9008
        state.cr4.insert(.osFXSR)
      },
      "`movaps [rbx], xmm0` (0f 29 03", "writes 16 bytes at 0x123456789008 (RBX is 0x123456789008)",
      "not aligned to 16 bytes")
    expect(observations([0x0F, 0x28, 0x03]), "The instruction is not enabled: CR4.OSFXSR is 0")
    expect(
      observations([0xC7, 0x05, 0x00, 0x70, 0x0B, 0x80, 0x41, 0x07, 0x41, 0x07]), "writes 4 bytes at")
  }

  @Test("instructions whose meaning is in registers")
  func meanings() {
    expect(
      observations([0x0F, 0x30]) { state in
        state.generalPurpose.rcx = 0x4000_0080
        state.generalPurpose.rax = 1
      }, "It writes 0x1 (EDX:EAX) to MSR 0x40000080 (HV_X64_MSR_SCONTROL)")
    expect(observations([0x0F, 0x32]) { $0.generalPurpose.rcx = 0xC000_0080 }, "It reads MSR 0xc0000080 (IA32_EFER)")
    expect(observations([0xEC]) { $0.generalPurpose.rdx = 0x3FD }, "DX, the port, is 0x3fd")
    expect(observations([0x0F, 0xAA]), "RSM leaves SMM")
  }

  @Test("what was executed just before")
  func before() {
    let code: [UInt8] = [UInt8](repeating: 0x55, count: 12) + [0x48, 0x83, 0xC8, 0x01, 0x90, 0x0F, 0x22, 0xD8]
    expect(
      observations(before: code, [0xC3]), "`or rax, 0x1`; `nop`; `mov cr3, rax`; RIP", "CR3 was just written")
  }

  @Test("bytes that are no code")
  func fills() {
    let zeroes = [UInt8](repeating: 0, count: 20)
    expect(
      observations(before: zeroes, [UInt8](repeating: 0, count: 30)), "All bytes from RIP on are 00",
      "a jump to a wrong address")
    expect(
      observations(before: zeroes, [UInt8](repeating: 0xFF, count: 30)) { $0.rip = 0xA_0000 },
      "All bytes from RIP on are ff", "execution slid through them (00 00 is `add [rax], al`) up to the VGA window")
    expect(observations(before: zeroes, [UInt8](repeating: 0xA5, count: 30)), "a poison value")
    let unreadable = observations([0x90])
    #expect(!unreadable.contains { $0.contains("could not read") })
  }

  @Test("any bytes in any mode")
  func anyBytes() {
    var generator = SeededGenerator(seed: 5)
    let attributes: [UInt32] = [0xa0_9b00, 0xc0_9b00, 0x9b00, 0xe0_9b00]
    for _ in 0..<300 {
      let bytes = (0..<50).map { _ in UInt8.random(in: 0...255, using: &generator) }
      _ = observations(before: Array(bytes[..<20]), Array(bytes[20...])) { state in
        state.cr0 = CR0(rawValue: .random(in: 0...UInt64(UInt32.max), using: &generator))
        state.cs.attributes = SegmentAttributes(rawValue: attributes.randomElement(using: &generator) ?? 0)
        state.rip = .random(in: 0...UInt64.max, using: &generator)
        state.generalPurpose.rax = .random(in: 0...UInt64.max, using: &generator)
        state.generalPurpose.rcx = .random(in: 0...UInt64.max, using: &generator)
        state.generalPurpose.rdi = .random(in: 0...UInt64.max, using: &generator)
        state.cr2 = .random(in: 0...UInt64.max, using: &generator)
        state.cr3 = .random(in: 0...UInt64.max, using: &generator)
      }
    }
  }
}
