import GuestImage
import GuestMemory
import Investigation
import KVM
import QEMU
import Testing
import X86

/// What only protected, virtual-8086 and real mode have: tasks, gates, limits, the I/O permission bit map.
@Suite("outside 64-bit mode")
struct ProtectedModeTests {
  /// One instruction that cannot be executed, the exception that is recorded for it, and what the verdict must say.
  struct Mistake: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let vector: ExceptionVector
    let code: UInt32?
    /// Nil where the instruction can be executed, and nothing explains the death.
    let cause: String?
    let words: String
    /// Whether TCG has no such rule.
    let isUnknownToTCG: Bool
    let change: @Sendable (inout FlatGuest) -> Void

    init(
      _ description: String, _ bytes: [UInt8], _ vector: ExceptionVector, code: UInt32? = 0, _ cause: String?,
      _ words: String = "", unknownToTCG: Bool = false,
      change: @escaping @Sendable (inout FlatGuest) -> Void = { _ in }
    ) {
      testDescription = description
      self.bytes = bytes
      self.vector = vector
      self.code = code
      self.cause = cause
      self.words = words
      isUnknownToTCG = unknownToTCG
      self.change = change
    }

    var guest: FlatGuest {
      var guest = FlatGuest()
      guest.memory.store(bytes, at: FlatGuest.code)
      change(&guest)
      return guest
    }
  }

  /// JMP to the segment 18H.
  private static let jump: [UInt8] = [0xEA, 0, 0, 0, 0, 0x18, 0]

  static let tasks: [Mistake] = [
    Mistake("a TSS that is too short", jump, .invalidTSS, code: 0x18, "segment.task-switch", "the limit 0x66") {
      $0.setDescriptor(0x18, type: 0x89, base: FlatGuest.otherTask, limit: 0x66)
    },
    Mistake("a task that is busy", jump, .generalProtection, code: 0x18, "segment.task-switch", "busy") {
      $0.setDescriptor(0x18, type: 0x8B, base: FlatGuest.otherTask)
    },
    Mistake("a TSS that is not present", jump, .segmentNotPresent, code: 0x18, "segment.task-switch", "not present") {
      $0.setDescriptor(0x18, type: 0x09, base: FlatGuest.otherTask)
    },
    Mistake("a task without CS", jump, .invalidTSS, "segment.task-switch", "null selector 0x0 for CS") {
      $0.setDescriptor(0x18, type: 0x89, base: FlatGuest.otherTask)
    },
    Mistake("a task with data for CS", jump, .invalidTSS, code: 0x10, "segment.task-switch", "0x10 for CS") {
      $0.setTask(code: 0x10, stack: 0x10)
    },
    Mistake("a task with code for SS", jump, .invalidTSS, code: 8, "segment.task-switch", "0x8 for SS") {
      $0.setTask(code: 8, stack: 8)
    },
    Mistake("a task that is whole", jump, .generalProtection, nil) { $0.setTask(code: 8, stack: 0x10) },
    Mistake("IRET with NT and no task before", [0xCF], .invalidTSS, code: 0, "segment.task-switch", "null") {
      $0.state.rflags.insert(.nestedTask)
    },
    Mistake("INT through a task gate", [0xCD, 0], .invalidTSS, code: 0x18, "interrupt.task-gate", "the limit 0x66") {
      $0.setDescriptor(0x18, type: 0x89, base: FlatGuest.otherTask, limit: 0x66)
      $0.setGate(selector: 0x18, type: 0x85)
    },
    Mistake("LTR in real mode", [0x0F, 0x00, 0xD8], .invalidOpcode, code: nil, "instruction.undefined", "real mode") {
      $0.enterRealMode()
    },
  ]

  static let transfers: [Mistake] = [
    Mistake(
      "a jump beyond the limit of the new segment", [0xEA, 0, 0, 1, 0, 0x18, 0], .generalProtection,
      "segment.bad-code-selector", "has the limit 0xffff"
    ) { $0.memory.store(0x0040_9B00_0000_FFFF, at: FlatGuest.gdt + 0x18) },
    Mistake(
      "a call gate of another CPL", [0x9A, 0, 0, 0, 0, 0x1B, 0], .generalProtection, code: 0x18,
      "segment.bad-code-selector", "has DPL 0"
    ) {
      $0.memory.store(0x0000_8C00_0008_0000, at: FlatGuest.gdt + 0x18)
      $0.becomeUser()
    },
    Mistake(
      "a call gate to data", [0x9A, 0, 0, 0, 0, 0x18, 0], .generalProtection, code: 0x10, "segment.bad-code-selector",
      "is data"
    ) { $0.memory.store(0x0000_8C00_0010_0000, at: FlatGuest.gdt + 0x18) },
    Mistake(
      "a call gate to CPL 0 without SS0", [0x9A, 0, 0, 0, 0, 0x1B, 0], .invalidTSS, code: 0, "segment.call-gate-stack",
      "SS0 of the TSS, 0x0, names no stack segment of CPL 0"
    ) { $0.setCallGate() },
    Mistake(
      "a call gate to CPL 0 without a TSS", [0x9A, 0, 0, 0, 0, 0x1B, 0], .invalidTSS, code: 0,
      "segment.call-gate-stack", "TR holds no TSS that has it"
    ) {
      $0.setCallGate()
      $0.state.tr.limit = 7
    },
    Mistake("a call gate to CPL 0 with its stack", [0x9A, 0, 0, 0, 0, 0x1B, 0], .invalidTSS, nil) {
      $0.setCallGate()
      $0.memory.store(0x10_0000_9000, at: FlatGuest.tss + 4)
    },
    Mistake(
      "RET n to CPL 3 with a stack of CPL 0", [0xCA, 8, 0], .generalProtection, code: 0x10, "segment.bad-selector",
      "0x10"
    ) { $0.setReturnFrame(stackSelector: 0x10) },
    Mistake("RET n to CPL 3", [0xCA, 8, 0], .generalProtection, nil) { $0.setReturnFrame(stackSelector: 0x2B) },
    Mistake("BOUND within its bounds", [0x62, 0x03], .boundRange, code: nil, nil) { $0.setBounds(index: 9) },
    Mistake("BOUND beyond them", [0x62, 0x03], .boundRange, code: nil, "instruction.trap", "the index is 10") {
      $0.setBounds(index: 10)
    },
    Mistake("INTO after an overflow", [0xCE], .overflow, code: nil, "instruction.trap", "`into`") {
      $0.state.rflags.insert(.overflow)
    },
    Mistake("IRET to virtual-8086 mode", [0xCF], .generalProtection, nil) {
      for (index, word) in [0x100, 0x800, 0x2_0002, 0, 0, 0, 0, 0, 0].enumerated() {
        $0.memory.store(UInt64(word), at: FlatGuest.stack + 4 * UInt64(index))
      }
    },
    Mistake("SYSENTER before its MSR is set", [0x0F, 0x34], .generalProtection, "syscall.not-set-up", "174H"),
    Mistake("RSM outside SMM", [0x0F, 0xAA], .invalidOpcode, code: nil, "instruction.undefined", "`rsm`") {
      $0.state.isInSMM = false
    },
    Mistake(
      "a branch beyond the limit of CS", [0xFF, 0xE0], .generalProtection, "segment.limit", "0x200000",
      unknownToTCG: true
    ) {
      $0.state.generalPurpose.rax = 0x20_0000
      $0.state.cs.limit = 0x1F_FFFF
    },
    Mistake(
      "an instruction across the limit of CS", [0x90, 0x90], .generalProtection, "segment.limit", "0x100000",
      unknownToTCG: true
    ) { $0.state.cs.limit = 0xF_FFFF },
    Mistake(
      "a word at FFFFH of real mode", [0x8B, 0x07], .generalProtection, code: nil, "segment.limit", unknownToTCG: true
    ) {
      $0.enterRealMode()
      $0.state.generalPurpose.rbx = 0xFFFF
    },
  ]

  static let permissions: [Mistake] = [
    Mistake("INT in virtual-8086 mode", [0xCD, 0x10], .generalProtection, "instruction.privileged", "virtual-8086") {
      $0.enterVirtual8086Mode()
    },
    Mistake("CLI in virtual-8086 mode", [0xFA], .generalProtection, "instruction.privileged", "IOPL 0") {
      $0.enterVirtual8086Mode()
    },
    Mistake("PUSHF in virtual-8086 mode", [0x9C], .generalProtection, "instruction.privileged", "IOPL 0") {
      $0.enterVirtual8086Mode()
    },
    Mistake(
      "a port of a TSS without a bit map", [0xEC], .generalProtection, "instruction.privileged", "ends with the TSS"
    ) {
      $0.becomeUser()
      $0.state.generalPurpose.rdx = 0x64
      $0.memory.store([0xF8, 0], at: FlatGuest.tss + 102)
    },
    Mistake("a port whose bit is set", [0xE4, 0x64], .generalProtection, "instruction.privileged", "its bit is set") {
      $0.becomeUser()
      $0.setBitMap(0xFF)
    },
    Mistake("a port that is allowed", [0xE4, 0x64], .generalProtection, nil) {
      $0.becomeUser()
      $0.setBitMap(0xEF)
    },
    Mistake(
      "a port in virtual-8086 mode with IOPL 3", [0xE4, 0x64], .generalProtection, "instruction.privileged", "set"
    ) {
      $0.enterVirtual8086Mode()
      $0.state.rflags.insert(RFLAGS(rawValue: 3 << 12))
      $0.setBitMap(0xFF)
    },
  ]

  static let divisions: [Mistake] = [
    Mistake("AAM by 0", [0xD4, 0], .divideError, code: nil, "arithmetic.divide-error", "`aam 0x0` divides by 0"),
    Mistake("AAM by 10", [0xD4, 10], .divideError, code: nil, nil),
  ]

  static let mistakes = tasks + transfers + permissions + divisions

  @Test("the first exception was recorded", arguments: mistakes, [Accelerator.tcg, .kvm])
  func recorded(_ mistake: Mistake, _ accelerator: Accelerator) throws {
    var scene = mistake.guest.scene(accelerator)
    scene.trace = Story.records([
      .entry(vcpu: 0, rip: mistake.guest.state.rip),
      .injectException(vector: mistake.vector, errorCode: mistake.code, isReinjected: false),
      .userspaceExit(reason: .shutdown, errno: nil),
    ])
    let cause = Investigator.verdict(on: scene).cause
    #expect(
      cause?.id == (accelerator == .tcg && mistake.isUnknownToTCG ? nil : mistake.cause), "\(cause?.summary ?? "")")
    guard let cause else { return }
    #expect(cause.summary.contains(mistake.words), "\(cause.summary)")
  }

  @Test("the task that #DF's task interrupted")
  func taskBefore() {
    var guest = FlatGuest()
    guest.memory.store([0x0F, 0x0B], at: FlatGuest.code)
    guest.memory.store([0xF4], at: FlatGuest.code + 0x100)
    guest.state.rip = FlatGuest.code + 0x100
    guest.setDescriptor(0x18, type: 0x8B, base: FlatGuest.otherTask)
    guest.memory.store(FlatGuest.code | 2 << 32, at: FlatGuest.otherTask + 32)
    guest.memory.store(8 | 0x10 << 32, at: FlatGuest.otherTask + 76)
    guest.memory.store(0x18, at: FlatGuest.tss)
    guest.state.rflags.insert(.nestedTask)
    guest.state.idtr.limit = 9 * 8 - 1
    guest.memory.store(0x0000_8500_0030_0000, at: FlatGuest.idt + 8 * 8)
    let observations = Investigator.verdict(on: guest.scene(.tcg)).observations
    let words = "which the task gate of #DF names, was entered from the task 0x18"
    #expect(observations.contains { $0.text.contains(words) && $0.text.contains("`ud2`, which raises #UD") })
  }

  /// MOV FS, AX with a selector beyond the GDT's limit, again and again.
  @Test(
    "a handler that raises its own exception until the stack is used up",
    arguments: [(frames: 20, "interrupt.handler-faults"), (frames: 3, "segment.bad-selector")])
  func nesting(_ frames: Int, _ cause: String) {
    var guest = FlatGuest()
    guest.memory.store([0x8E, 0xE0], at: FlatGuest.code)
    guest.state.generalPurpose.rax = 0xFFF8
    for frame in 0..<UInt64(frames) {
      guest.memory.store(0xFFF8 | FlatGuest.code << 32, at: FlatGuest.stack + frame * 16)
      guest.memory.store(8 | 0x1_0002 << 32, at: FlatGuest.stack + frame * 16 + 8)
    }
    var scene = guest.scene(.kvm)
    let again: [KVMEvent] = [
      .entry(vcpu: 0, rip: FlatGuest.code),
      .injectException(vector: .generalProtection, errorCode: 0xFFF8, isReinjected: false),
    ]
    scene.trace = Story.records(
      (0..<frames).flatMap { _ in again } + [.userspaceExit(reason: .shutdown, errno: nil)])
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == cause)
    #expect(verdict.chain.count == 2)
    #expect(verdict.chain.first?.text == "KVM injects #GP (0xfff8), and \(frames - 1) more like it")
    // Two in a row would be #DF: only the last was not delivered.
    let last = Source.trace(event: "kvm_inj_exception", time: 1_000_000_000 + UInt64(2 * frames - 1) * 1000)
    #expect(verdict.evidence.contains { $0.text.contains("was the first exception") && $0.source == last })
  }

  @Test(
    "a gate with a part of its handler's address",
    arguments: [
      (UInt64(0x0000_8E00_0008_1230), isCopied: false, true), (0x0010_8E00_0008_1230, false, false),
      (0x0000_8E00_0008_1231, false, false), (0x0000_8E00_0008_1230, true, false),
      (0x0000_8E00_0018_1230, false, false),
    ])
  func halfGate(_ gate: UInt64, _ isCopied: Bool, _ isHalf: Bool) throws {
    var guest = FlatGuest()
    guest.memory.store([0x0F, 0x0B], at: FlatGuest.code)
    guest.memory.store(gate, at: FlatGuest.idt)
    // A code segment that begins at the image.
    guest.memory.store(0x00CF_9B10_0000_FFFF, at: FlatGuest.gdt + 0x18)
    guest.memory.store(Array(repeating: isCopied ? 0x90 : 0, count: 16), at: 0x1230)
    guest.state.idtr.limit = 7
    var scene = guest.scene(.kvm)
    scene.image = try GuestImage(
      of: [SmallSegment(at: FlatGuest.code, flags: 5, contents: Array(repeating: 0x90, count: 0x2000), size: 0x2000)],
      function: ("handler", FlatGuest.code + 0x1230))
    let words = "leads to 0x1230, where none of the guest's code is. handler is at 0x101230"
    #expect(Investigator.verdict(on: scene).observations.contains { $0.text.contains(words) } == isHalf)
  }

  @Test("a double fault's task that cannot be switched to")
  func doubleFaultTask() throws {
    var guest = FlatGuest()
    guest.memory.store([0x0F, 0x0B], at: FlatGuest.code)
    guest.setDescriptor(0x18, type: 0x8B, base: FlatGuest.otherTask)
    guest.state.idtr.limit = 9 * 8 - 1
    guest.memory.store(0x0000_8500_0018_0000, at: FlatGuest.idt + 8 * 8)
    guest.memory.store(0, at: FlatGuest.idt + 6 * 8)
    var scene = guest.scene(.tcg)
    scene.log = [Sourced(.tripleFault, .log(name: "log", line: 1))]
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == "instruction.trap")
    #expect(verdict.chain.contains { $0.text.contains("#DF cannot be delivered: its task gate leads to no task") })
  }
}

/// Two processors that cannot get on.
@Suite("two processors")
struct TwoProcessorTests {
  @Test("the one that is not judged is named", arguments: [UInt8(0x0B), 0x1F])  // UD2, NOP
  func both(opcode: UInt8) {
    var guest = FlatGuest()
    guest.memory.store([0x0F, 0x0B], at: FlatGuest.code)
    guest.memory.store([0x0F, opcode, 0x00], at: FlatGuest.code + 0x40)
    var scene = guest.scene(.kvm)
    guest.state.rip += 0x40
    scene.processors.append(ObservedProcessor(index: 1, state: guest.state, source: .registers("test")))
    let facts = Investigator.verdict(on: scene).observations.map(\.text)
    #expect(facts.contains { $0.hasPrefix("Processor 1 cannot get on either") } == (opcode == 0x0B))
  }
}

/// A guest in flat protected mode without paging, whose IDT is empty.
struct FlatGuest {
  static let idt: UInt64 = 0x4000
  static let gdt: UInt64 = 0x5000
  static let tss: UInt64 = 0x6000
  static let otherTask: UInt64 = 0x7000
  static let stack: UInt64 = 0x9000
  static let code: UInt64 = 0x10_0000

  var memory = SparseMemory()
  var state: ProcessorState

  init() {
    state = Story.state(rip: Self.code, efer: [], idtLimit: 0)
    state.cr0 = [.protectionEnable, .extensionType]
    state.cr4 = []
    state.rflags = RFLAGS(rawValue: 2)
    state.cs = Self.segment(8, 0x00CF_9B00)
    for register in [SegmentRegister.ss, .ds, .es] { state[register] = Self.segment(0x10, 0x00CF_9300) }
    state.tr = Segment(
      selector: SegmentSelector(rawValue: 0x30), base: Self.tss, limit: 0xFF,
      attributes: SegmentAttributes(rawValue: 0x8B00))
    state.ldtr.limit = 0
    state.gdtr = DescriptorTableRegister(base: LinearAddress(Self.gdt), limit: 0x3F)
    state.idtr.base = LinearAddress(Self.idt)
    state.generalPurpose.rsp = Self.stack
    for page in [0, Self.idt, Self.gdt, Self.tss, Self.otherTask, Self.stack, Self.code] { memory.store(0, at: page) }
    memory.store(0x00CF_9B00_0000_FFFF, at: Self.gdt + 8)
    memory.store(0x00CF_9300_0000_FFFF, at: Self.gdt + 0x10)
  }

  private static func segment(_ selector: UInt16, _ attributes: UInt32) -> Segment {
    Segment(
      selector: SegmentSelector(rawValue: selector), base: 0, limit: .max,
      attributes: SegmentAttributes(rawValue: attributes & 0x00F0_FF00))
  }

  func scene(_ accelerator: Accelerator) -> Scene {
    var scene = Scene()
    scene.memory = memory
    scene.accelerator = Sourced(accelerator, .commandLine)
    scene.processors = [Story.processor(state)]
    return scene
  }

  mutating func setDescriptor(_ selector: UInt64, type: UInt64, base: UInt64, limit: UInt64 = 0x67) {
    memory.store(limit | base << 16 | type << 40, at: Self.gdt + selector)
  }

  mutating func setGate(selector: UInt64, type: UInt64) {
    state.idtr.limit = 7
    memory.store(selector << 16 | type << 40, at: Self.idt)
  }

  /// The task at 18H: EIP is 0, and ES, DS, FS and GS are null.
  mutating func setTask(code: UInt64, stack: UInt64) {
    setDescriptor(0x18, type: 0x89, base: Self.otherTask)
    memory.store(code | stack << 32, at: Self.otherTask + 76)
  }

  /// An I/O permission bit map at 68H, with `bits` for the ports 60H to 67H.
  mutating func setBitMap(_ bits: UInt8) {
    memory.store([0x68, 0], at: Self.tss + 102)
    memory.store([bits, 0], at: Self.tss + 0x68 + 0x60 / 8)
  }

  /// A call gate at 18H to the code segment 8, which CPL 3 may use.
  mutating func setCallGate() {
    memory.store(0x0000_EC00_0008_0000, at: Self.gdt + 0x18)
    becomeUser()
  }

  /// A far return's frame to the code segment 23H, with 8 bytes of parameters before SS:ESP.
  mutating func setReturnFrame(stackSelector: UInt64) {
    memory.store(0x00CF_FB00_0000_FFFF, at: Self.gdt + 0x20)
    memory.store(0x00CF_F300_0000_FFFF, at: Self.gdt + 0x28)
    memory.store(0x23 << 32 | 0x10_0000, at: Self.stack)
    memory.store(0, at: Self.stack + 8)
    memory.store(stackSelector << 32 | 0x9000, at: Self.stack + 16)
  }

  /// The bounds 0 and 9 where EBX points.
  mutating func setBounds(index: UInt64) {
    memory.store(9 << 32, at: Self.stack)
    state.generalPurpose.rbx = Self.stack
    state.generalPurpose.rax = index
  }

  mutating func becomeUser() {
    state.currentPrivilegeLevel = 3
    state.cs = Self.segment(0x1B, 0x00CF_FB00)
    state.ss = Self.segment(0x23, 0x00CF_F300)
  }

  mutating func enterRealMode() {
    state.cr0 = [.extensionType]
    useRealModeSegments(0x9300)
  }

  mutating func enterVirtual8086Mode() {
    state.rflags.insert(.virtual8086Mode)
    state.currentPrivilegeLevel = 3
    useRealModeSegments(0xF300)
  }

  /// Segments at 0, and CS where the code is.
  private mutating func useRealModeSegments(_ attributes: UInt32) {
    for register in [SegmentRegister.ss, .ds, .es, .cs] {
      state[register] = Segment(
        selector: SegmentSelector(rawValue: 0), base: register == .cs ? Self.code : 0, limit: 0xFFFF,
        attributes: SegmentAttributes(rawValue: attributes))
    }
    state.rip = 0
  }
}

/// Processors that go round in zeroes, and those that might not.
@Suite("zeroes in real mode")
struct ZeroesOfRealModeTests {
  private static func scene(_ change: (inout FlatGuest) -> Void = { _ in }) -> Scene {
    var guest = FlatGuest()
    guest.enterRealMode()
    for page in stride(from: FlatGuest.code, to: FlatGuest.code + 0x1_0000, by: 0x1000) {
      guest.memory.store(0, at: page)
    }
    guest.state.rip = 0x1234
    change(&guest)
    var scene = guest.scene(.tcg)
    scene.ending = .timedOut
    return scene
  }

  @Test("a segment of zeroes is never left")
  func stuck() {
    let verdict = Investigator.verdict(on: Self.scene())
    #expect(verdict.cause?.id == "execution.zeroes")
    #expect(verdict.cause?.confidence == .proven)
  }

  @Test("one that may be left is no hang")
  func others() {
    let scenes = [
      Self.scene { $0.memory.store([0x90], at: FlatGuest.code + 0x8000) },
      Self.scene { $0.state.rflags.insert(.interruptEnable) },
      Self.scene {
        $0.state.generalPurpose.rax = 1
        $0.state.ds.base = FlatGuest.code
      },
    ]
    for scene in scenes { #expect(Investigator.verdict(on: scene).cause == nil) }
  }
}
