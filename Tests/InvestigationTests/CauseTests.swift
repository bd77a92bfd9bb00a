import GuestMemory
import Investigation
import KVM
import QEMU
import Testing
import X86

/// One instruction that cannot be executed, what it raises, and what the verdict must say.
struct Mistake: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let bytes: [UInt8]
  let vector: ExceptionVector
  let code: UInt32?
  let cause: String
  /// Parts of the summary.
  let words: [String]
  let change: @Sendable (inout SmallGuest) -> Void

  init(
    _ description: String, _ bytes: [UInt8], _ vector: ExceptionVector, code: UInt32? = nil, _ cause: String,
    _ words: [String],
    change: @escaping @Sendable (inout SmallGuest) -> Void = { _ in }
  ) {
    testDescription = description
    self.bytes = bytes
    self.vector = vector
    self.code = code
    self.cause = cause
    self.words = words
    self.change = change
  }

  /// A guest in 64-bit mode, without an IDT, whose next instruction are `bytes`. It has pages of its own at 200000H.
  var guest: SmallGuest {
    var guest = SmallGuest()
    guest.state.idtr.limit = 0
    guest.state.ldtr.limit = 0
    guest.memory.store(bytes, at: 0x10_0000)
    guest.accelerator = .kvm
    change(&guest)
    return guest
  }

  static let pageFaults: [Mistake] = [
    Mistake(
      "a read through a null pointer", [0x48, 0x8B, 0x43, 0x08], .pageFault, code: 0, "paging.null-pointer",
      ["`mov rax, [rbx+0x8]` reads 0x8 (RBX is 0x0)"]
    ) { $0.unmapFirstPage() },
    Mistake(
      "a read through GS, whose base nobody set", [0x65, 0x48, 0x8B, 0x04, 0x25, 8, 0, 0, 0], .pageFault, code: 0,
      "paging.null-pointer", ["GS's base is 0", "SWAPGS"]
    ) { $0.unmapFirstPage() },
    Mistake(
      "the stack protector without FS", [0x64, 0x48, 0x8B, 0x04, 0x25, 0x28, 0, 0, 0], .pageFault, code: 0,
      "paging.null-pointer", ["FS's base is 0", "stack protector"]
    ) { $0.unmapFirstPage() },
    Mistake(
      "CR3 that nobody loaded", [], .pageFault, "paging.wrong-cr3", ["CR3 is 0x0", "interrupt vectors"]
    ) { guest in
      for vector in UInt64(0)..<32 { guest.memory.store([0x53, 0xFF, 0, 0xF0], at: 4 * vector) }
      guest.state.cr3 = 0
    },
    Mistake(
      "a write to what is not mapped", [0x48, 0x89, 0x08], .pageFault, code: 2, "paging.not-present",
      ["writes to 0x40000000 (RAX is 0x40000000)", "the PDPTE 0x0 at physical 0x2008"]
    ) { $0.state.generalPurpose.rax = 0x4000_0000 },
    Mistake("a call of 0", [], .pageFault, code: 0x10, "execution.null-call", ["RIP is 0x0"]) {
      $0.unmapFirstPage()
      $0.state.rip = 0
    },
    Mistake(
      "code that is not mapped", [], .pageFault, code: 0x10, "paging.code-not-mapped",
      ["The next instruction is fetched from 0x40000000", "not present"]
    ) { $0.state.rip = 0x4000_0000 },
    Mistake(
      "an empty root table", [], .pageFault, code: 0x10, "paging.code-not-mapped",
      ["root table that CR3 points to is empty"]
    ) { guest in
      guest.state.cr3 = 0x30_0000
      guest.memory.store(0, at: 0x30_0000)
    },
    Mistake(
      "a push below the stack", [0x50], .pageFault, code: 2, "stack.overflow",
      ["`push rax`", "RSP is 0x200000", "guard page"]
    ) { guest in
      guest.memory.store(UInt64(0), at: SmallGuest.directory)
      guest.mapSmallPages()
      guest.state.generalPurpose.rsp = 0x20_0000
      guest.memory.store(0x20_00E3, at: SmallGuest.directory + 8)
    },
    Mistake(
      "a stack that was never set", [0xE8, 0, 0, 0, 0], .pageFault, code: 2, "stack.not-mapped",
      ["RSP is 0x0", "never been set"]
    ) { $0.state.generalPurpose.rsp = 0 },
    Mistake(
      "a stack that has grown down past address 0, found by a variable", [0x48, 0x8B, 0x44, 0x24, 0x08], .pageFault,
      code: 0, "stack.not-mapped", ["RSP is 0xffffffffffffffd8", "past address 0"]
    ) { $0.state.generalPurpose.rsp = 0xFFFF_FFFF_FFFF_FFD8 },
    Mistake(
      "a write to a read-only page", [0x48, 0x89, 0x08], .pageFault, code: 3, "paging.read-only",
      ["writes to 0x200000", "R/W (bit 1) is clear in PDE 0x2000e1"]
    ) { guest in
      guest.state.generalPurpose.rax = 0x20_0000
      guest.memory.store(0x20_00E1, at: SmallGuest.directory + 8)
    },
    Mistake(
      "data executed", [], .pageFault, code: 0x11, "paging.execute-disabled", ["fetched from 0x200000", "XD (bit 63)"]
    ) { guest in
      guest.state.rip = 0x20_0000
      guest.memory.store(0x8000_0000_0020_00E3, at: SmallGuest.directory + 8)
    },
    Mistake("a user page executed by the kernel", [], .pageFault, code: 0x11, "paging.smep", ["CR4.SMEP"]) { guest in
      guest.giveUserPages()
      guest.state.rip = 0x20_0000
      guest.state.cr4.insert(.supervisorExecutionPrevention)
    },
    Mistake(
      "a user page touched by the kernel", [0x48, 0x89, 0x08], .pageFault, code: 3, "paging.smap",
      ["CR4.SMAP", "0x200000"]
    ) { guest in
      guest.giveUserPages()
      guest.state.generalPurpose.rax = 0x20_0000
      guest.state.cr4.insert(.supervisorAccessPrevention)
    },
    Mistake(
      "a kernel page touched by a user", [0x48, 0x89, 0x08], .pageFault, code: 7, "paging.supervisor-page",
      ["at CPL 3", "U/S"]
    ) { guest in
      guest.becomeUser()
      guest.state.rip = 0x20_0000
      guest.memory.store([0x48, 0x89, 0x08], at: 0x20_0000)
      guest.state.generalPurpose.rax = 0x10_0000
    },
  ]

  static let places: [Mistake] = [
    Mistake(
      "SYSCALL without LSTAR", [], .pageFault, code: 0x10, "syscall.not-set-up",
      ["SYSCALL at 0x10000e went to 0x0", "LSTAR (MSR C0000082H) was never set"]
    ) { guest in
      guest.unmapFirstPage()
      guest.state.rip = 0
      guest.state.generalPurpose.rcx = 0x10_0010
      guest.state.generalPurpose.r11 = 0x86
      guest.memory.store([0x0F, 0x05], at: 0x10_000E)
    },
    Mistake(
      "zeroes executed", [], .pageFault, code: 2, "execution.zeroes",
      ["0x100100", "until the address in RAX could not be written"]
    ) { guest in
      guest.state.rip = 0x10_0100
      guest.state.generalPurpose.rax = 0x4000_0000
    },
    Mistake(
      "a handler that is not mapped", [], .pageFault, code: 0x10, "interrupt.handler-not-mapped",
      ["RIP is 0x40000000", "gate of #PF"]
    ) { guest in
      guest.state.idtr.limit = 511
      guest.state.rip = 0x4000_0000
      guest.state.generalPurpose.rsp = 0x5000_0000
      guest.setGate(14, SmallGuest.gate(to: 0x4000_0000))
    },
    Mistake(
      "a table outside the memory", [0x48, 0x89, 0x08], .pageFault, code: 2, "paging.table-outside-ram",
      [
        "The PDPTE 0x7000000023 leads to a table where the machine has no memory"
      ]
    ) { guest in
      guest.state.generalPurpose.rax = 0x4000_0000
      guest.memory.store(0x70_0000_0023, at: SmallGuest.pdpt + 8)
      guest.memory.insert(hole: .unbacked, at: PhysicalAddress(0x70_0000_0000))
    },
  ]

  static let processor: [Mistake] = [
    Mistake("UD2", [0x0F, 0x0B], .invalidOpcode, "instruction.trap", ["`ud2` raises #UD by design: compilers"]) {
      $0.state.idtr.limit = 15
    },
    Mistake("INT3", [0xCC], .breakpoint, "instruction.trap", ["`int3` raises #BP by design: compilers"]) {
      $0.state.idtr.limit = 15
    },
    Mistake(
      "a LOCK that is not allowed", [0xF0, 0x01, 0xD8], .invalidOpcode, "instruction.undefined",
      ["f0 01 d8", "LOCK prefix"]),
    Mistake(
      "INT3 without a gate", [0xCC], .generalProtection, "interrupt.no-handler", ["`int3` asks for vector 0x3"]
    ) { guest in
      guest.state.idtr.limit = 0xFFF
      for vector in [3, 8, 13] as [UInt64] { guest.setGate(vector, 0) }
    },
    Mistake(
      "bits of DR7 that there are none of", [0x0F, 0x23, 0xF8], .generalProtection, code: 0,
      "cpu.control-register-reserved-bit", ["0x100000400 to DR7", "bit 32"]
    ) { $0.state.generalPurpose.rax = 0x1_0000_0400 },
    Mistake(
      "a breakpoint", [0x90], .debug, "interrupt.debug-exception", ["breakpoint 1, for the instruction at 0x100000"]
    ) {
      $0.state.debug = DebugRegisters(dr0: 0, dr1: 0x10_0000, dr2: 0, dr3: 0, dr6: 0xFFFF_0FF2, dr7: 0x404)
    },
    Mistake(
      "16 bytes of prefixes", [UInt8](repeating: 0x66, count: 16), .generalProtection, code: 0, "instruction.undefined",
      ["longer than the 15 bytes"]),
    Mistake(
      "AVX without OSXSAVE", [0xC5, 0xF4, 0x58, 0xC2], .invalidOpcode, "cpu.feature-not-enabled",
      ["`vaddps ymm0, ymm1, ymm2`", "CR4.OSXSAVE"]),
    Mistake("x87 with EM", [0xD9, 0xE8], .deviceNotAvailable, "cpu.feature-not-enabled", ["CR0.EM", "#NM"]) {
      $0.state.cr0.insert(.emulation)
    },
    Mistake("SSE with EM", [0x0F, 0x10, 0x00], .invalidOpcode, "cpu.feature-not-enabled", ["CR0.EM", "#UD"]) {
      $0.state.cr0.insert(.emulation)
    },
    Mistake("SSE with TS", [0x0F, 0x10, 0x00], .deviceNotAvailable, "cpu.feature-not-enabled", ["CR0.TS", "#NM"]) {
      $0.state.cr0.insert(.taskSwitched)
    },
    Mistake("SYSCALL without SCE", [0x0F, 0x05], .invalidOpcode, "cpu.feature-not-enabled", ["EFER.SCE"]),
    Mistake(
      "PG cleared in 64-bit mode", [0x0F, 0x22, 0xC0], .generalProtection, code: 0, "cpu.control-register-reserved-bit",
      ["`mov cr0, rax`", "0x11 to CR0", "64-bit mode"]
    ) { $0.state.generalPurpose.rax = 0x11 },
    Mistake(
      "the upper half of CR0", [0x0F, 0x22, 0xC0], .generalProtection, code: 0, "cpu.control-register-reserved-bit",
      ["bit 40 must be zero on every processor"]
    ) { $0.state.generalPurpose.rax = 1 << 40 | 0x8001_0011 },
    Mistake(
      "an address in CR3 above MAXPHYADDR", [0x0F, 0x22, 0xD8], .generalProtection, code: 0,
      "cpu.control-register-reserved-bit", ["CR3", "bit 45"]
    ) { $0.state.generalPurpose.rax = 1 << 45 | 0x1000 },
    Mistake(
      "PAE cleared in long mode", [0x0F, 0x22, 0xE0], .generalProtection, code: 0, "cpu.control-register-reserved-bit",
      ["PAE cannot be cleared"]
    ) { $0.state.generalPurpose.rax = 0x200 },
    Mistake(
      "LME changed under paging", [0x0F, 0x30], .generalProtection, code: 0, "cpu.control-register-reserved-bit",
      ["0x0 to EFER", "LME cannot change"]
    ) { guest in
      guest.state.generalPurpose.rcx = 0xC000_0080
      guest.state.generalPurpose.rax = 0
    },
    Mistake(
      "an MSR that is not there", [0x0F, 0x32], .generalProtection, code: 0, "cpu.unknown-msr",
      ["reads MSR 0x19c (IA32_THERM_STATUS)"]
    ) { $0.state.generalPurpose.rcx = 0x19C },
    Mistake(
      "XCR0 without x87", [0x0F, 0x01, 0xD1], .generalProtection, code: 0, "cpu.control-register-reserved-bit",
      ["0x6 to XCR0", "x87 state"]
    ) { guest in
      guest.state.cr4.insert(.osXSAVE)
      guest.state.generalPurpose.rcx = 0
      guest.state.generalPurpose.rax = 6
    },
    Mistake("HLT by a user", [], .generalProtection, code: 0, "instruction.privileged", ["`hlt`", "CPL 3"]) { guest in
      guest.becomeUser()
      guest.state.rip = 0x20_0000
      guest.memory.store([0xF4], at: 0x20_0000)
    },
    Mistake("CLI by a user", [], .generalProtection, code: 0, "instruction.privileged", ["`cli`", "IOPL"]) { guest in
      guest.becomeUser()
      guest.state.rip = 0x20_0000
      guest.memory.store([0xFA], at: 0x20_0000)
    },
  ]

  static let operands: [Mistake] = [
    Mistake(
      "a pointer of text", [0x48, 0x8B, 0x43, 0x08], .generalProtection, code: 0, "memory.non-canonical",
      ["`mov rax, [rbx+0x8]` uses 0x4847464544434249", "bits 63 to 47"]
    ) { $0.state.generalPurpose.rbx = 0x4847_4645_4443_4241 },
    Mistake(
      "a stack that is not canonical", [0x50], .stackFault, code: 0, "stack.non-canonical", ["`push rax`", "#SS"]
    ) {
      $0.state.generalPurpose.rsp = 0x8000_0000_0000_0000
    },
    Mistake(
      "an aligned move of what is not aligned", [0x0F, 0x28, 0x44, 0x24, 0x08], .generalProtection, code: 0,
      "memory.misaligned",
      ["a multiple of 16", "0x9008", "RSP being a multiple of 16"]),
    Mistake("a division by 0", [0xF7, 0xF1], .divideError, "arithmetic.divide-error", ["`div ecx` divides by 0"]) {
      $0.state.generalPurpose.rcx = 0
    },
    Mistake("a quotient that does not fit", [0xF7, 0xF1], .divideError, "arithmetic.divide-error", ["does not fit"]) {
      guest in
      guest.state.generalPurpose.rdx = 5
      guest.state.generalPurpose.rcx = 5
    },
    Mistake(
      "a dividend that was not sign-extended", [0xF7, 0xF9], .divideError, "arithmetic.divide-error",
      ["more than the sign of the lower"]
    ) { guest in
      guest.state.generalPurpose.rax = 0xFFFF_FFFF
      guest.state.generalPurpose.rdx = 5
      guest.state.generalPurpose.rcx = 5
    },
    Mistake(
      "an upper half of one byte", [0xF6, 0xF1], .divideError, "arithmetic.divide-error", ["(AH, or what is left"]
    ) { guest in
      guest.state.generalPurpose.rax = 0x1234
      guest.state.generalPurpose.rcx = 5
    },
    Mistake(
      "the least number divided by -1", [0xF7, 0xF9], .divideError, "arithmetic.divide-error",
      ["`idiv ecx` divides the least number", "does not fit"]
    ) { guest in
      guest.state.generalPurpose.rax = 0x8000_0000
      guest.state.generalPurpose.rdx = 0xFFFF_FFFF
      guest.state.generalPurpose.rcx = 0xFFFF_FFFF
    },
    Mistake(
      "a selector beyond the GDT", [0x8E, 0xD8], .generalProtection, code: 0x40, "segment.bad-selector",
      ["`mov ds, ax` loads the selector 0x40", "beyond the limit of the GDT, 0x27"]
    ) { $0.state.generalPurpose.rax = 0x40 },
    Mistake(
      "TR loaded with a busy TSS", [0x0F, 0x00, 0xD8], .generalProtection, code: 0x18, "segment.bad-selector",
      ["a TSS that is busy"]
    ) { guest in
      guest.state.generalPurpose.rax = 0x18
      guest.memory.store(0x0000_8B00_6000_0067, at: SmallGuest.gdt + 0x18)
    },
    Mistake(
      "a far jump to data", [0x48, 0xFF, 0x2B], .generalProtection, code: 0x10, "segment.bad-code-selector",
      ["goes to the code segment 0x10", "is data"]
    ) { guest in
      guest.state.generalPurpose.rbx = 0x8100
      guest.memory.store([0, 0, 0x10, 0, 0, 0, 0, 0, 0x10, 0], at: 0x8100)
    },
    Mistake(
      "a code segment with L and D", [0x48, 0xFF, 0x2B], .generalProtection, code: 8, "segment.bad-code-selector",
      ["both L and D"]
    ) { guest in
      guest.state.generalPurpose.rbx = 0x8100
      guest.memory.store([0, 0, 0x10, 0, 0, 0, 0, 0, 8, 0], at: 0x8100)
      guest.memory.store(0x00EF_9B00_0000_FFFF, at: SmallGuest.gdt + 8)
    },
    Mistake(
      "IRET with the error code on the stack", [0x48, 0xCF], .generalProtection, code: 0x10_0044 & 0xFFFC,
      "interrupt.error-code-not-popped", ["one word too low", "RIP 0x100044", "CS 0x8"]
    ) { $0.pushFrame(at: 0x9008) },
    Mistake(
      "IRET after one pop too many", [0x48, 0xCF], .generalProtection, code: 0x84, "interrupt.error-code-not-popped",
      ["one word too high", "the vector of #DF"]
    ) { $0.pushFrame(at: 0x8FF8) },
    Mistake(
      "INT 80H without an IDT", [0xCD, 0x80], .generalProtection, "interrupt.idt-limit",
      ["`int 0x80` asks for vector 0x80", "the IDT's limit, 0x0"]),
    Mistake(
      "INT 6 with a gate that is not present", [0xCD, 0x06], .segmentNotPresent, "interrupt.gate-not-present",
      ["vector 0x6", "not present"]
    ) { guest in
      guest.state.idtr.limit = 7 * 16 - 1
      guest.setGate(6, SmallGuest.gate(present: false))
    },
  ]
}

extension SmallGuest {
  /// Replaces the large page at 0 by small ones, all but the first.
  mutating func unmapFirstPage() {
    mapSmallPages()
    memory.store(UInt64(0), at: 0xA000)
  }

  /// Maps the first 2 MiB with small pages, all but the last.
  mutating func mapSmallPages() {
    for page in UInt64(0)..<512 { memory.store(page << 12 | 0x63, at: 0xA000 + 8 * page) }
    memory.store(UInt64(0), at: 0xA000 + 8 * 511)
    memory.store(0xA023, at: Self.directory)
  }

  /// Makes the page at 200000H the user's.
  mutating func giveUserPages() {
    memory.store(Self.pdpt | 0x27, at: Self.pml4)
    memory.store(Self.directory | 0x27, at: Self.pdpt)
    memory.store(0x20_00E7, at: Self.directory + 8)
    memory.store(UInt64(0), at: 0x20_0000)
  }

  mutating func becomeUser() {
    giveUserPages()
    state.currentPrivilegeLevel = 3
    state.cs = Self.segment(0x2B, 0x00AF_FB00)
    state.ss = Self.segment(0x23, 0x00CF_F300)
  }

  /// What a delivery pushes: RIP, CS, RFLAGS, RSP, SS.
  mutating func pushFrame(at address: UInt64) {
    for (index, word) in [0x10_0044, 8, 0x86, 0x9100, 0x10].enumerated() {
      memory.store(UInt64(word), at: address + 8 * UInt64(index))
    }
    if address > 0x9000 { memory.store(UInt64(2), at: 0x9000) }
  }
}

@Suite("Causes of death")
struct CauseTests {
  static let mistakes = Mistake.pageFaults + Mistake.places + Mistake.processor + Mistake.operands

  @Test("a triple fault that TCG logged", arguments: mistakes.filter { !needsKVM($0) })
  func underTCG(_ mistake: Mistake) throws {
    var guest = mistake.guest
    guest.accelerator = .tcg
    if mistake.vector == .pageFault, let address = try walkedAddress(mistake) { guest.state.cr2 = address }
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    try check(mistake, scene, confidence: mistake.isCertain && mistake.isDecided ? .proven : .likely)
  }

  @Test("a triple fault whose first exception KVM recorded", arguments: mistakes)
  func recorded(_ mistake: Mistake) throws {
    var scene = mistake.guest.scene
    scene.trace = Story.records([
      .entry(vcpu: 0, rip: mistake.guest.state.rip),
      .injectException(vector: mistake.vector, errorCode: mistake.code, isReinjected: false),
      .userspaceExit(reason: .shutdown, errno: nil),
    ])
    try check(mistake, scene, confidence: mistake.isDecided ? .proven : .likely)
  }

  @Test("a reset without a record, where the registers leave no way to go on", arguments: mistakes.filter(\.isCertain))
  func unrecorded(_ mistake: Mistake) throws {
    var scene = mistake.guest.scene
    scene.ending = .reset
    try check(mistake, scene, confidence: .likely)
  }

  @Test("another exception than the recorded one is no cause", arguments: mistakes)
  func contradicted(_ mistake: Mistake) {
    var scene = mistake.guest.scene
    let other: ExceptionVector = mistake.vector == .alignmentCheck ? .overflow : .alignmentCheck
    scene.trace = Story.records([
      .entry(vcpu: 0, rip: mistake.guest.state.rip),
      .injectException(vector: other, errorCode: nil, isReinjected: false),
      .userspaceExit(reason: .shutdown, errno: nil),
    ])
    #expect(Investigator.verdict(on: scene).cause == nil)
  }

  @Test(
    "a guest that goes on has no cause",
    arguments: [[0x90], [0xC3], [0x0F, 0xA2], [0xEE], [0x48, 0x8B, 0x04, 0x24]] as [[UInt8]])
  func harmless(_ bytes: [UInt8]) {
    var guest = Mistake("", bytes, .pageFault, "", []).guest
    guest.state.generalPurpose.rsp = 0x9000
    var scene = guest.scene
    scene.ending = .reset
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .undetermined)
    #expect(verdict.cause == nil)
  }

  @Test("an interrupt without a handler is what remains", arguments: [true, false])
  func interrupt(_ areInterruptsOn: Bool) {
    var guest = Mistake("", [0x90], .pageFault, "", []).guest
    guest.accelerator = .tcg
    if areInterruptsOn { guest.state.rflags.insert(.interruptEnable) }
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == (areInterruptsOn ? "interrupt.idt-limit" : nil))
    #expect(verdict.cause?.confidence == (areInterruptsOn ? .likely : nil))
  }

  @Test(
    "a division that can be made",
    arguments: [
      (UInt64(7), UInt64(0), UInt64(2)), (0xFFFF_FFF9, 0xFFFF_FFFF, 2), (0x8000_0000, 0xFFFF_FFFF, 1),
      (0, 0x3FFF_FFFF, 0x7FFF_FFFF), (0, 0x4000_0000, 0x8000_0000),
    ])
  func signedDivision(_ low: UInt64, _ high: UInt64, _ divisor: UInt64) {
    var guest = Mistake("", [0xF7, 0xF9], .divideError, "", []).guest
    guest.accelerator = .tcg
    guest.state.generalPurpose.rax = low
    guest.state.generalPurpose.rdx = high
    guest.state.generalPurpose.rcx = divisor
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    #expect(Investigator.verdict(on: scene).cause == nil)
  }

  @Test(
    "a call of a hypervisor where there is none is not cured by a feature",
    arguments: [(UInt8(0xC1), "cpu.missing-feature"), (0xD9, "cpu.feature-not-enabled")])
  func hypercall(_ last: UInt8, _ cause: String) {
    var guest = Mistake("", [0x0F, 0x01, last], .invalidOpcode, "", []).guest
    guest.accelerator = .tcg
    var scene = guest.scene
    scene.commandLine = QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-accel", "tcg", "-cpu", "qemu64"])
    scene.guestFeatures = nil
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == cause)
    #expect(verdict.remedies.map(\.kind) == [.guest])
    #expect(verdict.remedies.allSatisfy { $0.change.contains("hypervisor") })
  }

  @Test("LTR with a TSS that another processor has", arguments: [true, false])
  func busyTask(_ isOfAnother: Bool) {
    var guest = Mistake("", [0x0F, 0x00, 0xD8], .generalProtection, "", []).guest
    guest.accelerator = .tcg
    guest.state.generalPurpose.rax = 0x18
    guest.memory.store(0x0000_8B00_0000_0067 | SmallGuest.tss << 16, at: SmallGuest.gdt + 0x18)
    let other = guest.state
    guest.state.tr = SmallGuest.segment(0, 0x8B00)
    var scene = guest.scene
    if isOfAnother {
      scene.processors.append(ObservedProcessor(index: 1, state: other, source: .registers("test")))
      scene.processors[1].state.rip = SmallGuest.handler
    }
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == "segment.bad-selector")
    #expect(
      verdict.cause?.summary.contains(
        isOfAnother ? "TR of processor 1 has it" : "or the descriptor was written so (8BH)")
        == true, "\(verdict)")
    #expect(verdict.remedies.first?.change.contains("a descriptor of its own") == true)
  }

  @Test("an address of 32 bits that 64-bit mode extends by its sign", arguments: [true, false])
  func signExtendedAddress(_ isThere: Bool) {
    // mov dword ptr [0xfffffffffee000f0], 0x1ff
    var guest = Mistake(
      "", [0xC7, 0x04, 0x25, 0xF0, 0x00, 0xE0, 0xFE, 0xFF, 0x01, 0, 0], .pageFault, "", []
    ).guest
    guest.accelerator = .tcg
    guest.state.cr2 = 0xFFFF_FFFF_FEE0_00F0
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    if isThere {
      scene.memoryMap = MemoryMap(ranges: [
        MemoryMap.Range(
          first: PhysicalAddress(0xFEE0_0000), last: PhysicalAddress(0xFEEF_FFFF), kind: .device, name: "apic-msi",
          offset: 0)
      ])
    }
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == "paging.not-present")
    #expect(verdict.cause?.summary.contains("0xfee000f0, where the machine has apic-msi") == isThere)
    #expect(verdict.remedies.first?.change.contains("into a register first") == isThere)
    // A kernel that itself runs up there means the address as it is.
    scene.processors[0].state.rip = 0xFFFF_FFFF_8010_0000
    #expect(Investigator.verdict(on: scene).cause?.summary.contains("apic-msi") != true)
  }

  @Test(
    "what the bytes of a bad address are",
    arguments: [(UInt64(0x5A5A_5A5A_5A5A_5A5A), "0x5a in each byte"), (0x6B72_6F77_6E6F_6D65, "read \"emonwork\"")])
  func contentsOfAddress(_ address: UInt64, _ words: String) {
    var guest = Mistake("", [], .generalProtection, "", []).guest
    guest.accelerator = .tcg
    guest.state.rip = address
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == "memory.non-canonical")
    #expect(verdict.remedies.first?.reason.contains(words) == true, "\(verdict)")
  }

  @Test("real mode's vectors are executed", arguments: [true, false])
  func firmwareData(_ areIntact: Bool) {
    var guest = SmallGuest()
    guest.state.idtr.limit = 0
    for vector in UInt64(0)..<32 { guest.memory.store([0x53, 0xFF, 0, areIntact ? 0xF0 : 0], at: 4 * vector) }
    guest.state.rip = 4
    guest.state.generalPurpose.rsp = 0x4000_0000
    guest.state.cr2 = 0x3FFF_FFF8
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == (areIntact ? "execution.firmware-data" : "stack.not-mapped"))
    #expect(cause?.confidence == .proven)
  }

  @Test("the end of zeroes makes an instruction with what follows", arguments: [UInt8(0), 0x90])
  func endOfZeroes(_ byte: UInt8) {
    var guest = SmallGuest()
    guest.state.idtr.limit = 0
    // add [rcx], al
    guest.memory.store([byte, 0, 1], at: 0x80FE)
    guest.state.rip = 0x80FF
    guest.state.generalPurpose.rcx = 1 << 60
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == (byte == 0 ? "execution.zeroes" : "memory.non-canonical"))
    #expect(cause?.summary.contains("begins `add [rcx], al`") == (byte == 0))
  }

  @Test("a return to all ones, with a stack where no memory is", arguments: [true, false])
  func stackOfOnes(_ isMissing: Bool) {
    var guest = SmallGuest()
    guest.state.idtr.limit = 0
    (guest.state.rip, guest.state.cr2) = (.max, .max)
    guest.state.generalPurpose.rsp = isMissing ? 0xA_8000 : 0x8100
    guest.memory.insert(hole: .device, at: PhysicalAddress(0xA_8000))
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == "paging.code-not-mapped", "\(verdict)")
    #expect(verdict.cause?.summary.contains("what is pushed is lost") == isMissing)
  }

  @Test("how RIP came to be no address", arguments: [0xA5A5_A5A5_A5A5_A5A5, 0] as [UInt64])
  func returnToNoAddress(_ below: UInt64) {
    var guest = SmallGuest()
    guest.state.idtr.limit = 0
    guest.state.rip = 0xA5A5_A5A5_A5A5_A5A5
    guest.state.generalPurpose.rsp = 0x8100
    guest.memory.store(below, at: 0x80F8)
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == "memory.non-canonical")
    #expect(cause?.summary.contains("RET took it") == (below != 0), "\(String(describing: cause))")
  }

  @Test("a guest that was executing zeroes when it was stopped", arguments: [UInt8(0), 0x90])
  func runningAstray(_ byte: UInt8) {
    var guest = SmallGuest()
    guest.state.rip = 0x20_0100
    guest.state.generalPurpose.rax = 0x20_0800
    guest.memory.store(0, at: 0x20_0000)
    guest.memory.store([byte], at: 0x20_0110)
    var scene = guest.scene
    scene.ending = .timedOut
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .undetermined)
    #expect(verdict.cause?.id == (byte == 0 ? "execution.zeroes" : nil))
  }

  @Test("TCG goes on past a LOCK that a processor refuses", arguments: [true, false])
  func lockUnderTCG(_ isMapped: Bool) {
    var guest = Mistake("", [0xF0, 0x53], .pageFault, "", []).guest
    guest.accelerator = .tcg
    if !isMapped { guest.state.generalPurpose.rsp = 0x4000_0000 }
    guest.state.cr2 = 0x3FFF_FFF8
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == (isMapped ? "instruction.undefined" : "stack.not-mapped"))
    #expect(cause?.confidence == (isMapped ? .likely : .proven))
  }

  /// What a guest does when its time is over, and why it hangs; nil if it may go on.
  static let hangs: [(String, [UInt8], cause: String?, words: String, @Sendable (inout SmallGuest) -> Void)] = [
    ("HLT with interrupts off", [0xEB, 0xFD], "hang.interrupts-off", "halted (HLT)", { $0.state.isHalted = true }),
    (
      "HLT with interrupts on", [0xEB, 0xFD], nil, "",
      {
        $0.state.isHalted = true
        $0.state.rflags.insert(.interruptEnable)
      }
    ),
    ("a jump to itself", [0xEB, 0xFE], "hang.self-loop", "jumps to itself", { _ in }),
    ("a loop that waits for an interrupt", [0xEB, 0xFE], nil, "", { $0.state.rflags.insert(.interruptEnable) }),
    ("a loop that writes", [0xFF, 0x03, 0xEB, 0xFC], nil, "", { _ in }),
    ("a loop of nothing", [0x90, 0xEB, 0xFD], "hang.spin", "nop", { _ in }),
    // mov rax, [rsp+8] or [rbx+8]; test rax, rax; jne out; jmp back
    (
      "a loop that waits for its own variable",
      [0x48, 0x8B, 0x44, 0x24, 8, 0x48, 0x85, 0xC0, 0x75, 2, 0xEB, 0xF4],
      "hang.self-loop", "a variable on its own stack", { $0.state.generalPurpose.rsp = 0x8000 }
    ),
    (
      "a loop that waits for a variable that others may know",
      [0x48, 0x8B, 0x43, 8, 0x48, 0x85, 0xC0, 0x75, 2, 0xEB, 0xF5],
      "hang.spin", "reads memory", { $0.state.generalPurpose.rbx = 0x8000 }
    ),
    (
      "a bit of CR4 that TCG does not take", [0x0F, 0x22, 0xE0], "hang.tcg-control-register", "bit 15",
      { $0.state.generalPurpose.rax = 0x8220 }
    ),
  ]

  @Test("what hangs is told from what still runs", arguments: hangs)
  func judgesHang(
    _ hang: (String, [UInt8], cause: String?, words: String, @Sendable (inout SmallGuest) -> Void)
  ) {
    var guest = SmallGuest()
    guest.memory.store(hang.1, at: 0x10_0000)
    hang.4(&guest)
    var scene = guest.scene
    scene.ending = .timedOut
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == (hang.cause == nil ? .undetermined : .hung))
    #expect(verdict.cause?.id == hang.cause)
    #expect(verdict.cause?.summary.contains(hang.words) ?? true, "\(verdict)")
  }

  /// What each of two processors runs, and what must be said: nil if it may go on.
  static let pairs: [(String, first: [UInt8], second: [UInt8], areInterruptsOn: Bool, words: String?)] = [
    // cmp dword ptr [rbx], 0; jnz
    (
      "two that wait for memory", [0x83, 0x3B, 0, 0x75, 0xFB], [0x83, 0x3B, 0, 0x75, 0xFB], false,
      "Processor 1 runs in a loop"
    ),
    // mov eax, 1; xchg eax, [rbx]; test eax, eax; jnz
    (
      "a lock that is taken", [0x83, 0x3B, 0, 0x75, 0xFB],
      [0xB8, 1, 0, 0, 0, 0x87, 0x03, 0x85, 0xC0, 0x75, 0xF5], false,
      "tries to take the lock at 0x100800, and that holds 0x1"
    ),
    // xor eax, eax; lock cmpxchg [rbx], ecx; je +2; jmp
    (
      "a lock that is taken, with a way out", [0xEB, 0xFE],
      [0x31, 0xC0, 0xF0, 0x0F, 0xB1, 0x0B, 0x74, 0x02, 0xEB, 0xF6], false, "holds 0x1"
    ),
    ("one that writes", [0x83, 0x3B, 0, 0x75, 0xFB], [0xFF, 0x03, 0xEB, 0xFC], false, nil),
    ("one with interrupts on", [0x83, 0x3B, 0, 0x75, 0xFB], [0x83, 0x3B, 0, 0x75, 0xFB], true, nil),
  ]

  @Test("processors that wait for each other", arguments: pairs)
  func pair(_ pair: (String, first: [UInt8], second: [UInt8], areInterruptsOn: Bool, words: String?)) {
    var guest = SmallGuest()
    guest.state.generalPurpose.rbx = 0x10_0800
    guest.memory.store(1, at: 0x10_0800)
    guest.memory.store(pair.first, at: 0x10_0000)
    guest.memory.store(pair.second, at: 0x10_0100)
    var scene = guest.scene
    scene.ending = .timedOut
    scene.processors.append(ObservedProcessor(index: 1, state: guest.state, source: .registers("test")))
    scene.processors[1].state.rip = 0x10_0100
    if pair.areInterruptsOn { scene.processors[1].state.rflags.insert(.interruptEnable) }
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == (pair.words == nil ? nil : "hang.spin"))
    #expect(verdict.cause?.summary.contains(pair.words ?? "") ?? true, "\(verdict)")
  }

  @Test("further processors that nobody started do not count, and one that died is named")
  func furtherProcessors() {
    var guest = Mistake("", [0x0F, 0x0B], .invalidOpcode, "", []).guest
    guest.accelerator = .tcg
    var waiting = guest.state
    (waiting.cr0, waiting.rip, waiting.isHalted) = ([.protectionEnable], 0xF_D09A, true)
    (waiting.cs, waiting.efer) = (SmallGuest.segment(8, 0x00CF_9B00), [])
    var scene = guest.scene
    scene.processors[0].state.rip = SmallGuest.handler
    scene.processors.append(ObservedProcessor(index: 1, state: guest.state, source: .registers("test")))
    for index in 2...3 {
      scene.processors.append(ObservedProcessor(index: index, state: waiting, source: .registers("test")))
    }
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.fault?.processor == 1)
    let facts = verdict.observations.map(\.text)
    #expect(facts.first?.hasPrefix("Processor 1") == true, "\(facts)")
    #expect(facts.last?.hasPrefix("Processors 2, 3 were never started") == true, "\(facts)")
    scene.log = []
    scene.ending = .timedOut
    scene.processors[1].state.isHalted = true
    scene.processors[0].state.isHalted = true
    #expect(Investigator.verdict(on: scene).cause?.summary.hasPrefix("All 2 processors") == true)
  }

  @Test("a GDT where no memory is")
  func tableOutsideMemory() {
    // push 8; lretq
    var guest = Mistake("", [0x48, 0xCB], .generalProtection, "", []).guest
    guest.accelerator = .tcg
    guest.memory.store(0x10_0000, at: 0x9000)
    guest.memory.store(8, at: 0x9008)
    guest.state.gdtr.base = LinearAddress(0x20_0000)
    guest.memory.insert(hole: .unbacked, at: PhysicalAddress(0x20_0000))
    var scene = guest.scene
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == "segment.bad-code-selector", "\(verdict)")
    #expect(verdict.cause?.summary.contains("would lie at 0x200008, where the machine has no memory") == true)
    #expect(verdict.remedies.first?.change.contains("LGDT takes its operand") == true)
  }

  @Test("a trap without any gate may be a reset that was meant, and is not proven to be a program that gave up")
  func resetByTripleFault() throws {
    let mistake = Mistake(
      "INT3", [0xCC], .breakpoint, "instruction.trap",
      ["the IDT has no gate at all", "reset the machine like that on purpose"])
    var scene = mistake.guest.scene
    scene.ending = .reset
    scene.log = [Sourced(.tripleFault, .log(name: "QEMU's log", line: 1))]
    try check(mistake, scene, confidence: .likely)
  }

  private func check(_ mistake: Mistake, _ scene: Scene, confidence: Confidence) throws {
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .died)
    let cause = try #require(verdict.cause, "\(verdict)")
    #expect(cause.id == mistake.cause)
    for words in mistake.words { #expect(cause.summary.contains(words), "\(cause.summary)") }
    #expect(cause.confidence == confidence, "\(verdict.evidence)")
    #expect(verdict.fault?.vector == mistake.vector)
    if let code = mistake.code { #expect(verdict.fault?.errorCode == code) }
    #expect(!verdict.remedies.isEmpty)
    #expect(verdict.fault?.instruction != nil || mistake.bytes.isEmpty || mistake.cause == "instruction.undefined")
  }

  /// The address of the page fault, as the verdict on the record has it.
  private func walkedAddress(_ mistake: Mistake) throws -> UInt64? {
    var scene = mistake.guest.scene
    scene.ending = .reset
    return Investigator.verdict(on: scene).fault?.address?.rawValue
  }

  /// Whether TCG would not mind.
  private static func needsKVM(_ mistake: Mistake) -> Bool {
    ["cpu.unknown-msr", "stack.non-canonical"].contains(mistake.cause) || mistake.words == ["both L and D"]
      || mistake.cause == "cpu.control-register-reserved-bit" && !mistake.words.contains { $0.contains("XCR0") }
  }
}

extension Mistake {
  /// Whether the instruction raises its exception whatever is not known.
  var isCertain: Bool { cause != "cpu.unknown-msr" }

  /// Whether nothing else can have left the registers so.
  var isDecided: Bool { cause != "syscall.not-set-up" }
}
