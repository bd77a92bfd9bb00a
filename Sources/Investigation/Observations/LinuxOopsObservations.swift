import GuestImage
import QEMU
import X86

extension Scene {
  /// What the first account of a Linux kernel in the log says of its own registers; what follows one is its consequence.
  var linuxOopsObservations: [Evidence] {
    guard let (oops, source) = Self.firstOops(in: log) else { return [] }
    return [Evidence(oops.words, source)]
  }

  /// The first account of an error, else of a warning.
  static func firstOops(in log: [Sourced<QEMUMessage>]) -> (LinuxOops, Source)? {
    let accounts = log.compactMap { entry -> (LinuxOops, Source)? in
      if case .linuxOops(let oops) = entry.value { (oops, entry.source) } else { nil }
    }
    return accounts.first { $0.0.headline.map { $0.kind != .kernelWarning } ?? false } ?? accounts.first
  }
}

extension LinuxOops {
  /// Whether the kernel tells of an error, after which it may not be able to go on, rather than warns.
  var isError: Bool { headline.map { $0.kind != .kernelWarning && $0.kind != .taskHung } ?? false }

  /// The account in a sentence.
  var words: String {
    let reason = headline.map { " (\($0.text.prefix(100)))" } ?? ""
    let callers = calls.isEmpty ? "" : "; called from \(calls.prefix(4).joined(separator: ", "))"
    return "By its own account a Linux kernel was at \(place)\(instructionWords)\(callers)\(reason)"
  }

  private var instructionWords: String {
    guard let code,
      let instruction = try? Instruction.decode(code.atInstructionPointer, at: 0, mode: .long64)
    else { return "" }
    let inputs = instruction.inputs.compactMap { register in
      registers[register].map { "\(register.rawValue) \($0.hexadecimal)" }
    }
    let values = inputs.isEmpty ? "" : ", with \(inputs.joined(separator: ", "))"
    // Such an address is counted from RIP, which the kernel names by its symbol alone.
    let text = instruction.isRelative ? "`\(instruction.mnemonic) …`" : "`\(instruction.text)`"
    let address = registers[.cr2].map { "; CR2 is \($0.hexadecimal)" } ?? ""
    return ", where the instruction is \(text)\(values)\(address)"
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
