import GuestImage
import QEMU
import X86

/// What the bytes around RIP prove, as a `Code=` line or a listing shows them: the instruction, its operands with their values, what
/// came just before, and bytes that are no code.
struct InstructionObservations {
  private let state: ProcessorState
  private let code: CodeBytes
  private let source: Source
  private let shown: Shown
  private(set) var evidence: [Evidence] = []

  /// What of the state was shown; the rest of it is made up, and nothing is said of that.
  struct Shown {
    var control = true
    /// The numbers of the general-purpose registers.
    var registers = Set(0..<16)

    var areAllRegisters: Bool { registers.count == 16 }
  }

  init(_ code: CodeBytes, at state: ProcessorState, _ source: Source, shown: Shown = Shown()) {
    (self.code, self.state, self.source, self.shown) = (code, state, source, shown)
    guard !code.isUnreadable else {
      note(
        "QEMU could not read the bytes at RIP (Code=??): no instruction can be named. It reads through the guest's page tables, as they and its memory are when it prints"
      )
      return
    }
    if let fill = fillAtRIP {
      filled(with: fill)
    } else if let instruction {
      decoded(instruction)
    }
  }

  private mutating func note(_ text: String) { evidence.append(Evidence(text, source)) }

  // MARK: No code

  /// The byte that all bytes from RIP on are, if they are all one.
  private var fillAtRIP: UInt8? { Self.fill(code.bytes.dropFirst(code.marked ?? .max).compactMap { $0 }) }

  private var fillBeforeRIP: UInt8? { Self.fill(code.bytes.prefix(code.marked ?? 0).compactMap { $0 }) }

  /// The byte that all of `bytes` are; nil if they differ or are too few to tell.
  private static func fill(_ bytes: [UInt8]) -> UInt8? {
    guard bytes.count >= 8, let first = bytes.first, bytes.allSatisfy({ $0 == first }) else { return nil }
    return first
  }

  private mutating func filled(with byte: UInt8) {
    let name = byte.hexadecimalByte
    let isWindow = !state.cr0.contains(.paging) || state.instructionAddress.rawValue < 0x10_0000
    if byte == 0xFF {
      note(
        "All bytes from RIP on are ff, what a read gives where there is no memory: no code is there, nothing could be fetched"
      )
    } else {
      note("All bytes from RIP on are \(name): \(Self.meaning(ofFill: byte)), no code")
      if byte == 0, state.mode == .protected(bits: 32), !state.cr0.contains(.paging),
        state.instructionAddress.rawValue >= 0x10_0000
      {
        note(
          "QEMU shows zeroes also where there is no memory. A processor runs through zeroes in RAM by itself (`add [eax], al`), where KVM does not emulate every instruction: then RIP is beyond the guest's RAM, or what EAX points to ("
            + "\((state.generalPurpose.rax & 0xFFFF_FFFF).hexadecimal)) is no RAM")
      }
    }
    guard let before = fillBeforeRIP else {
      return note("The bytes before RIP are not such, so that RIP stands at the end of something, or jumped here")
    }
    let words = "The bytes before RIP are all \(before.hexadecimalByte), \(Self.meaning(ofFill: before))"
    guard isWindow, PCMemory.vgaWindow.contains(state.instructionAddress.rawValue), before != byte,
      Self.sliding[before] != nil
    else {
      note(
        before == byte
          ? "So are the bytes before RIP: a jump to a wrong address, or a return from a wrong stack" : words)
      return
    }
    note(
      "\(words): execution slid through them (\(Self.sliding[before] ?? "")) up to the VGA window, where it ends. What jumped into them "
        + "is not known" + scanned(before)
        + (before == 0 ? "; memory that nobody filled is where a null or empty pointer leads" : ""))
  }

  /// How far SCASW or SCASD, AFH, has walked: EDI rises by the operand's size each time (SDM vol. 2, SCAS).
  private func scanned(_ byte: UInt8) -> String {
    let width: UInt64 = state.cs.attributes.contains(.big) || state.mode == .long64 ? 4 : 2
    let edi = state.generalPurpose.rdi & 0xFFFF_FFFF
    guard byte == 0xAF, !state.rflags.contains(.direction), edi > 0, edi % width == 0, edi / width < state.rip else {
      return ""
    }
    return
      ". EDI is \(edi.hexadecimal): if it began at 0, SCAS ran \((edi / width).hexadecimal) times, from offset \((state.rip - edi / width).hexadecimal) of CS on: the memory was overwritten under code that ran up to there"
  }

  /// What memory full of one byte is (EDK2 MdePkg.dec: PcdDebugClearMemoryValue; Linux include/linux/poison.h; Microsoft's C runtime).
  static func meaning(ofFill byte: UInt8) -> String {
    switch byte {
    case 0: "zeroes"
    case 0xAF: "the value that EDK2 (UEFI firmware) fills freed memory with"
    case 0xA5: "a poison value (Linux's of poisoned pages and others)"
    case 0x5A: "Linux's poison of objects not yet initialised"
    case 0x6B: "Linux's poison of freed objects"
    case 0xCC: "INT3, which Linux and compilers fill unused code and stacks with"
    case 0x90: "NOP"
    case 0xFF: "what a read gives where there is no memory"
    default: "one value repeated"
    }
  }

  /// What those bytes do that a processor can run through.
  private static let sliding: [UInt8: String] = [
    0: "00 00 is `add [rax], al`", 0x90: "NOP", 0xAF: "af is SCASW or SCASD, which walks on without a fault",
  ]

  // MARK: The instruction

  private var instruction: Instruction? { try? Instruction.decodeNext(code.atInstructionPointer, in: state) }

  private mutating func decoded(_ instruction: Instruction) {
    let bytes = instruction.bytes.map(\.hexadecimalByte).joined(separator: " ")
    note(
      "The instruction at RIP is `\(instruction.text)` (\(bytes), decoded as \(state.mode.codeName))\(operands(of: instruction))"
    )
    if shown.areAllRegisters, shown.control, let meaning = instruction.meaning(in: state) { note(meaning) }
    if let words = enabling(instruction) { note(words) }
    if ResetObservations.isReset(state) {
      if instruction.bytes == [0xEA, 0x5B, 0xE0, 0x00, 0xF0] {
        note("That is the first instruction of a PC's BIOS, SeaBIOS too: the jump at the reset vector to F000:E05B")
      }
    } else {
      neighbours(of: instruction)
    }
  }

  /// Where its operands in memory are, with the registers that say so.
  private func operands(of instruction: Instruction) -> String {
    instruction.memoryOperands.filter { $0.memory?.purpose == .access }.map { operand in
      guard let address = instruction.linearAddress(of: operand, in: state)?.rawValue else { return "" }
      let verb = operand.isWrite ? (operand.isRead ? "reads and writes" : "writes") : "reads"
      let count = operand.size == 1 ? "1 byte" : "\(operand.size) bytes"
      var text = "; it \(verb) \(count) at \(address.hexadecimal)"
      let registers = [operand.memory?.base, operand.memory?.index].compactMap { $0 }
      guard registers.allSatisfy(isShown) else { return "" }
      let values = registers.compactMap { register -> String? in
        guard case .general(let number, _) = register, let value = register.value(in: state) else { return nil }
        return "\(state.name(ofRegister: number)) is \(value.hexadecimal)"
      }
      if !values.isEmpty { text += " (\(values.joined(separator: ", ")))" }
      return text + place(address) + alignment(instruction, operand, address)
    }.joined()
  }

  private func isShown(_ register: Register) -> Bool {
    if case .general(let number, _) = register { shown.registers.contains(number) } else { true }
  }

  /// What is at a linear address, as far as it can be told: without paging it is the physical one; with paging the VGA text buffer
  /// and the like are usually mapped to themselves, which is said as what it is.
  private func place(_ address: UInt64) -> String {
    guard let place = PCMemory.place(of: address, isInSMM: state.isInSMM == true) else {
      return state.isUserAddress(address) && state.currentPrivilegeLevel == 0 && state.rip >> 63 == 1
        ? ", a user-space address" : ""
    }
    return state.cr0.contains(.paging) ? ", which if it is mapped to itself is \(place)" : ", \(place)"
  }

  private func alignment(_ instruction: Instruction, _ operand: Operand, _ address: UInt64) -> String {
    let alignment = instruction.alignment(of: operand)
    guard alignment >= 16, alignment.nonzeroBitCount == 1, instruction.needsAlignment else { return "" }
    let isAligned = address & UInt64(alignment - 1) == 0
    return isAligned ? ", aligned to \(alignment) as it must be" : ", not aligned to \(alignment) bytes: #GP"
  }

  /// The enable bits that the registers show, where the instruction needs any.
  private func enabling(_ instruction: Instruction) -> String? {
    guard shown.control, let requirements = instruction.requirements else { return nil }
    let bits = requirements.enables.bits.filter { $0.value(in: state) != nil }
    guard !bits.isEmpty else { return nil }
    let wrong = bits.filter { bit in bit.value(in: state).map { !bit.isEnabled(in: $0) } ?? false }
    guard wrong.isEmpty else {
      let words = wrong.map { "\($0.name) is \($0.isSet ? 0 : 1)" }.joined(separator: ", ")
      return "The instruction is not enabled: \(words)"
    }
    let features = requirements.features.compactMap(\.first?.name)
    return features.isEmpty
      ? nil
      : "It needs \(features.joined(separator: ", ")) in CPUID and \(bits.map { "\($0.name)=\($0.isSet ? 1 : 0)" }.joined(separator: ", ")), as "
        + "\(bits.count == 1 ? "it is" : "they are")"
  }

  // MARK: Before and behind

  private static let mostBefore = 3
  private static let mostBehind = 4

  private mutating func neighbours(of instruction: Instruction) {
    guard fillBeforeRIP == nil else {
      if let before = fillBeforeRIP, before != 0x90 {
        note("The bytes before RIP are all \(before.hexadecimalByte), \(Self.meaning(ofFill: before))")
      }
      return
    }
    let before = before
    let behind = behind(instruction)
    guard !before.isEmpty || !behind.isEmpty else { return }
    let texts = before.map { "`\($0.text)`" } + ["RIP"] + behind.map { "`\($0.text)`" }
    note("The code around it, as the bytes read: \(texts.joined(separator: "; "))")
    if shown.areAllRegisters, shown.control, let last = before.last, let change = last.change(to: state) {
      note(change)
    }
  }

  /// The instructions in front of RIP. Where they begin is not known: of all places where an instruction may begin that ends where the
  /// next one does, the one is taken that most of the readings from further back arrive at.
  private var before: [Instruction] {
    guard let marked = code.marked, marked <= code.bytes.count else { return [] }
    var arrivals = [Int](repeating: 0, count: marked + 1)
    for start in 0..<marked {
      let boundaries = boundaries(from: start, to: marked)
      guard boundaries.last == marked else { continue }
      for boundary in boundaries { arrivals[boundary] += 1 }
    }
    var found: [Instruction] = []
    var end = marked
    while found.count < Self.mostBefore {
      let candidates = (max(0, end - 15)..<max(0, end)).filter {
        arrivals[$0] > 0 && decode(at: $0, behind: marked)?.length == end - $0
      }
      guard let start = candidates.max(by: { arrivals[$0] < arrivals[$1] }),
        let instruction = decode(at: start, behind: marked)
      else { break }
      found.insert(instruction, at: 0)
      end = start
    }
    return found
  }

  /// Where instructions begin if one begins at `start`, up to and with `end` if they meet it.
  private func boundaries(from start: Int, to end: Int) -> [Int] {
    var boundaries = [start]
    var index = start
    while index < end, let instruction = decode(at: index, behind: end) {
      index += instruction.length
      if index <= end { boundaries.append(index) }
    }
    return boundaries
  }

  private func decode(at index: Int, behind marked: Int) -> Instruction? {
    decode(at: index, end: code.bytes.count, address: state.rip &- UInt64(bitPattern: Int64(marked - index)))
  }

  private func behind(_ instruction: Instruction) -> [Instruction] {
    guard let marked = code.marked else { return [] }
    var index = marked + instruction.length
    var address = state.rip &+ UInt64(instruction.length)
    var found: [Instruction] = []
    while found.count < Self.mostBehind,
      let next = decode(at: index, end: code.bytes.count, address: address)
    {
      found.append(next)
      index += next.length
      address &+= UInt64(next.length)
    }
    return found
  }

  private func decode(at index: Int, end: Int, address: UInt64) -> Instruction? {
    guard index >= 0, index < end, end <= code.bytes.count else { return nil }
    let bytes = code.bytes[index..<end].prefix { $0 != nil }.compactMap { $0 }
    return try? Instruction.decode(
      bytes, at: address, mode: state.mode, stackWidth: state.ss.attributes.contains(.big) ? 32 : 16)
  }
}

extension ProcessorMode {
  /// `16-bit code (real mode)`.
  var codeName: String {
    switch self {
    case .real: "16-bit code, real mode"
    case .virtual8086: "16-bit code, virtual-8086 mode"
    case .protected(let bits): "\(bits)-bit code, protected mode"
    case .compatibility(let bits): "\(bits)-bit code, compatibility mode"
    case .long64: "64-bit code"
    }
  }
}

extension EnableBit {
  /// The register that the bit is in, where a dump shows it.
  func value(in state: ProcessorState) -> UInt64? {
    switch register {
    case .cr0: state.cr0.rawValue
    case .cr4: state.cr4.rawValue
    case .efer: state.efer?.rawValue
    case .xcr0, .msr: nil
    }
  }
}

extension ProcessorState {
  /// A general-purpose register's name as a dump of this state has it: EAX outside 64-bit mode.
  func name(ofRegister number: Int) -> String {
    let name = GeneralPurposeRegisters.names[number]
    return mode == .long64 ? name : "E" + name.dropFirst()
  }

  /// Whether an address is in the lower half of the address space, where systems in the upper half keep their programs.
  func isUserAddress(_ address: UInt64) -> Bool { mode == .long64 && address >= 0x1000 && address >> 47 == 0 }
}

extension GeneralPurposeRegisters {
  /// The names in the order of the encoding.
  static let names = [
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
  ]
}

extension Instruction {
  /// What an instruction does whose meaning lies in the registers, with their values; nil for all others.
  func meaning(in state: ProcessorState) -> String? {
    let registers = state.generalPurpose
    let ecx = UInt32(truncatingIfNeeded: registers.rcx)
    let value = registers.rdx << 32 | registers.rax & 0xFFFF_FFFF
    let port = (registers.rdx & 0xFFFF).hexadecimal
    switch mnemonic {
    case "wrmsr": return "It writes \(value.hexadecimal) (EDX:EAX) to \(KnownMSR.words(ecx))"
    case "rdmsr": return "It reads \(KnownMSR.words(ecx))"
    case "rsm":
      return
        "RSM leaves SMM: it loads the whole state of the processor from the save area in SMRAM, and KVM has to check and load it"
    case "xsetbv": return "It writes \(value.hexadecimal) to XCR\(ecx)"
    case "hlt":
      return state.rflags.contains(.interruptEnable)
        ? nil : "Interrupts are off, so that only an NMI, SMI or reset ends the HLT"
    case "in", "out", "insb", "insw", "insd", "outsb", "outsw", "outsd":
      let usesDX = operands.contains { if case .register(.general(2, 16)) = $0.value { true } else { false } }
      return usesDX ? "DX, the port, is \(port)" : nil
    default: return nil
    }
  }

  /// What an instruction that was executed just before proves of how the processor came to be as it is.
  fileprivate func change(to state: ProcessorState) -> String? {
    guard mnemonic == "mov", case .register(.control(let number))? = operands.first?.value else { return nil }
    switch number {
    case 0 where !state.cr0.contains(.protectionEnable):
      return
        "By the code before RIP, CR0 was just written: PE (protected mode) has just been cleared, CS and the others still are what they were"
    case 0 where state.cr0.contains(.paging):
      return "By the code before RIP, CR0 was just written: paging is in force from this instruction on"
    case 0: return "By the code before RIP, CR0 was just written: protected mode is in force from this instruction on"
    case 3:
      return
        "By the code before RIP, CR3 was just written: the tables at \(state.cr3.hexadecimal) are in force from this instruction on"
    case 4: return "By the code before RIP, CR4 was just written"
    default: return nil
    }
  }
}

extension KnownMSR {
  /// `MSR 0xc0000080 (IA32_EFER)`.
  static func words(_ index: UInt32) -> String {
    let number = "MSR \(index.hexadecimal)"
    return (named[index]?.name ?? hypervisorNames[index]).map { "\(number) (\($0))" } ?? number
  }

  /// Those of Hyper-V's interface and of KVM's (Linux include/hyperv/hvgdk_mini.h, arch/x86/include/uapi/asm/kvm_para.h, 6.19).
  private static let hypervisorNames: [UInt32: String] = [
    0x4000_0000: "HV_X64_MSR_GUEST_OS_ID", 0x4000_0001: "HV_X64_MSR_HYPERCALL", 0x4000_0002: "HV_X64_MSR_VP_INDEX",
    0x4000_0003: "HV_X64_MSR_RESET", 0x4000_0020: "HV_X64_MSR_TIME_REF_COUNT", 0x4000_0021: "HV_X64_MSR_REFERENCE_TSC",
    0x4000_0070: "HV_X64_MSR_EOI, Hyper-V's end of interrupt", 0x4000_0071: "HV_X64_MSR_ICR",
    0x4000_0072: "HV_X64_MSR_TPR", 0x4000_0073: "HV_X64_MSR_VP_ASSIST_PAGE", 0x4000_0080: "HV_X64_MSR_SCONTROL",
    0x4000_0100: "HV_X64_MSR_CRASH_P0", 0x4000_0105: "HV_X64_MSR_CRASH_CTL", 0x4B56_4D02: "MSR_KVM_ASYNC_PF_EN",
    0x4B56_4D03: "MSR_KVM_STEAL_TIME", 0x4B56_4D04: "MSR_KVM_PV_EOI_EN",
  ]
}
