import GuestImage
import QEMU
import X86

extension Scene {
  /// What the first account of a Linux kernel in the log says of its own registers; what follows one is its consequence.
  var linuxOopsObservations: [Evidence] {
    for entry in log {
      if case .linuxOops(let oops) = entry.value { return oops.words.map { Evidence($0, entry.source) } }
    }
    return []
  }
}

extension LinuxOops {
  fileprivate var words: [String] {
    guard let code, let instruction = try? Instruction.decode(code.atInstructionPointer, at: 0, mode: .long64) else {
      return ["By its own account a Linux kernel was at \(place)"]
    }
    let inputs = instruction.inputs.compactMap { register in
      registers[register].map { "\(register.rawValue) \($0.hexadecimal)" }
    }
    let values = inputs.isEmpty ? "" : ", with \(inputs.joined(separator: ", "))"
    // Such an address is counted from RIP, which the kernel names by its symbol alone.
    let text = instruction.isRelative ? "`\(instruction.mnemonic) …`" : "`\(instruction.text)`"
    let address = registers[.cr2].map { "; CR2 is \($0.hexadecimal)" } ?? ""
    return ["By its own account a Linux kernel was at \(place), where the instruction is \(text)\(values)\(address)"]
  }
}

extension Instruction {
  /// In the order of their encoding.
  private static let general: [RegisterDump.Register] = [
    .rax, .rcx, .rdx, .rbx, .rsp, .rbp, .rsi, .rdi, .r8, .r9, .r10, .r11, .r12, .r13, .r14, .r15,
  ]

  /// The general-purpose registers that the instruction reads, for an address too, each once.
  fileprivate var inputs: [RegisterDump.Register] {
    let read = operands.flatMap { operand -> [Register] in
      switch operand.value {
      case .register(let register): operand.isRead ? [register] : []
      case .memory(let reference): [reference.base, reference.index].compactMap(\.self)
      default: []
      }
    }
    var found: [RegisterDump.Register] = []
    for case .general(let number, _) in read {
      guard Self.general.indices.contains(number), !found.contains(Self.general[number]) else { continue }
      found.append(Self.general[number])
    }
    return found
  }

  /// Whether the instruction has an address that is counted from RIP.
  fileprivate var isRelative: Bool {
    operands.contains { operand in
      switch operand.value {
      case .branchTarget: true
      case .memory(let reference):
        if case .instructionPointer? = reference.base { true } else { false }
      default: false
      }
    }
  }
}
