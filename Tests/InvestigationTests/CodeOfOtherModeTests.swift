import GuestMemory
import Investigation
import QEMU
import Testing
import X86

/// Code that is executed in another mode than it was made for, told from code that is where it belongs.
@Suite("execution.other-mode")
struct CodeOfOtherModeTests {
  // mov rbp, rsp; mov rsi, rdi; lea rax, [rip]; mov [rbp-8], rsi; mov rcx, [rbp-8]
  private static let long: [UInt8] = [
    0x48, 0x89, 0xE5, 0x48, 0x89, 0xFE, 0x48, 0x8D, 0x05, 0, 0, 0, 0, 0x48, 0x89, 0x75, 0xF8, 0x48, 0x8B, 0x4D, 0xF8,
  ]
  // mov ebp, esp; mov esi, edi; mov [ebp-8], esi; mov ecx, [ebp-8]; dec ecx; inc esi; mov eax, 1
  private static let short: [UInt8] = [
    0x89, 0xE5, 0x89, 0xFE, 0x89, 0x75, 0xF8, 0x8B, 0x4D, 0xF8, 0x49, 0x46, 0xB8, 1, 0, 0, 0,
  ]

  /// What is said of a guest that died of `mov al, [0x40000000]`, or something else, behind code.
  private func cause(
    behind code: [UInt8], _ last: [UInt8] = [0x8A, 0x05, 0, 0, 0, 0x40], cs: UInt32 = 0x00CF_9B00,
    change: (inout SmallGuest) -> Void = { _ in }
  ) -> String? {
    var guest = SmallGuest()
    guest.memory.store([UInt8](repeating: 0x90, count: 0x1000), at: 0xF_F000)
    guest.memory.store([UInt8](repeating: 0x90, count: 0x80), at: 0x10_0000)
    guest.memory.store(code + last + [UInt8](repeating: 0x90, count: 64), at: 0x10_0080)
    guest.state.rip = 0x10_0080 + UInt64(code.count)
    guest.state.cs = SmallGuest.segment(8, cs)
    guest.state.idtr.limit = 0
    guest.state.rflags.remove(.interruptEnable)
    guest.state.cr2 = 0x4000_0000
    change(&guest)
    var scene = guest.scene
    scene.ending = .reset
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    return Investigator.verdict(on: scene).cause?.id
  }

  @Test("REX prefixes in front of RIP, in compatibility mode and in protected mode")
  func longCode() {
    #expect(cause(behind: Self.long) == "execution.other-mode")
    let protected: (inout SmallGuest) -> Void = {
      $0.state.efer = []
      $0.state.cr0.remove(.paging)
      _ = $0.memory.insert(hole: .unbacked, at: PhysicalAddress(0x4000_0000))
    }
    // lidt [0]: the next certain exception, without paging
    #expect(cause(behind: Self.long, [0x0F, 0x0B], change: protected) == "execution.other-mode")
  }

  @Test("code of 32 bits is where it belongs, with DEC and INC in it, and behind code of 64 bits")
  func shortCode() {
    #expect(cause(behind: Self.short) == "paging.not-present")
    #expect(cause(behind: Self.long + Self.short) == "paging.not-present")
    // retfq
    #expect(cause(behind: Self.long + [0x48, 0xCB]) == "paging.not-present")
  }

  @Test("code of 64 bits in 64-bit mode is, too")
  func inItsMode() {
    // mov al, [0x40000000]
    #expect(cause(behind: Self.long, [0x8A, 0x04, 0x25, 0, 0, 0, 0x40], cs: 0x00AF_9B00) == "paging.not-present")
  }

  @Test("zeroes behind code of 64 bits are run into in compatibility mode")
  func zeroes() {
    let atZeroes: (inout SmallGuest) -> Void = { guest in
      guest.memory.store([UInt8](repeating: 0, count: 256), at: 0x10_0080 + UInt64(Self.long.count))
      guest.state.rip += 0x40
      guest.state.generalPurpose.rax = 0x4000_0000
    }
    #expect(cause(behind: Self.long, change: atZeroes) == "execution.other-mode")
    #expect(cause(behind: Self.short, change: atZeroes) == "execution.zeroes")
  }

  @Test("PUSHA and what follows it are code of 32 bits in 64-bit mode; letters are not")
  func inLongMode() {
    // pusha; mov edx, ecx; xor eax, eax; add eax, edx; dec edx; jnz; popa; ret
    let pusha: [UInt8] = [0x60, 0x89, 0xCA, 0x31, 0xC0, 0x01, 0xD0, 0x4A, 0x75, 0xFB, 0x61, 0xC3]
    #expect(cause(behind: [0x90], pusha, cs: 0x00AF_9B00) == "execution.other-mode")
    #expect(cause(behind: [0x90], Array("a letter to the kernel".utf8), cs: 0x00AF_9B00) == "instruction.undefined")
    // A byte of what is no code, and zeroes.
    #expect(
      cause(behind: [0x90], [0x06] + [UInt8](repeating: 0, count: 32), cs: 0x00AF_9B00) == "instruction.undefined")
  }
}
