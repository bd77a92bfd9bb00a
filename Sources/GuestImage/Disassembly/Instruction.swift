public import X86

/// One decoded instruction.
public struct Instruction: Hashable, Sendable {
  /// The instruction pointer at the instruction: an offset in the code segment, which is the linear address too where
  /// the segment's base is 0, as it always is in 64-bit mode.
  public var address: UInt64
  /// The instruction's own bytes, 1 to 15.
  public var bytes: [UInt8]
  public var mode: ProcessorMode
  /// The width of the stack pointer in bits: 16, 32 or 64.
  public var stackWidth: Int
  /// The effective operand width in bits: 8, 16, 32 or 64.
  public var operandWidth: Int
  /// The effective address width in bits: 16, 32 or 64.
  public var addressWidth: Int
  /// The mnemonic in lower case, such as `mov`.
  public var mnemonic: String
  /// All operands: those the text shows first and in Intel's order, then the others.
  public var operands: [Operand]
  /// Zydis' name of the group that the instruction belongs to, such as `DATAXFER` or `UNCOND_BR`.
  public var category: String
  /// Zydis' name of the instruction-set extension, such as `BASE`, `SSE2` or `RDRAND`.
  public var isaExtension: String
  /// Zydis' name of the smallest instruction set that has the instruction, such as `I386` or `FXSAVE`.
  public var isaSet: String
  public var encoding: Encoding
  /// Whether the instruction needs CPL 0 whatever CR4 and IOPL say (SDM vol. 3, 5.9; the VMX and SVM instructions too).
  /// Elsewhere it raises #GP; STAC and CLAC raise #UD.
  public var isPrivileged: Bool
  /// Whether the branch, if it is one, loads CS.
  public var isFarBranch: Bool

  /// Every name that `isaSet` may have, in Zydis' order.
  public static var allInstructionSets: [String] { Zydis.instructionSets }

  /// How the opcode is written (SDM vol. 2, 2.1 to 2.7; APM vol. 3, 1.1).
  public enum Encoding: Hashable, Sendable {
    case legacy
    case threeDNow
    case xop
    case vex
    case evex
    /// Knights Corner's; no processor that runs KVM has it.
    case mvex
  }

  /// In bytes, 1 to 15.
  public var length: Int { bytes.count }

  /// The operands in memory, explicit ones first.
  public var memoryOperands: [Operand] { operands.filter { $0.memory != nil } }

  /// Where a relative branch leads; nil for all else.
  public var branchTarget: UInt64? {
    for operand in operands {
      if case .branchTarget(let target) = operand.value { return target }
    }
    return nil
  }
}

/// Bytes that are not an instruction.
public enum DecodingError: Error, Hashable, Sendable {
  /// The bytes end before the instruction does.
  case truncated
  /// The instruction is longer than 15 bytes, which raises #GP (SDM vol. 2, 2.3.11).
  case tooLong
  /// A LOCK prefix on an instruction or operand that cannot be locked, which raises #UD.
  case illegalLock
  /// A register that does not exist, such as CR1, which raises #UD.
  case badRegister
  /// No instruction in this mode, which raises #UD.
  case undefined
}

extension DecodingError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .truncated: "the bytes end before the instruction does"
    case .tooLong: "longer than the 15 bytes an instruction may have"
    case .illegalLock: "a LOCK prefix where none is allowed"
    case .badRegister: "a register that does not exist"
    case .undefined: "no instruction in this mode"
    }
  }
}

/// How assembly is written.
public enum AssemblySyntax: Hashable, Sendable {
  case intel
  case att
}

extension Instruction {
  /// Decodes the instruction that `bytes` begins with; what follows it is ignored.
  ///
  /// - Parameters:
  ///   - address: The instruction pointer at the first byte.
  ///   - stackWidth: The width of the stack pointer in bits, 16 or 32, where SS.B gives another than the code
  ///     segment's D; it has no meaning in 64-bit mode.
  public static func decode(
    _ bytes: [UInt8], at address: UInt64, mode: ProcessorMode, stackWidth: Int? = nil
  ) throws(DecodingError) -> Instruction {
    try Zydis.decode(bytes, at: address, mode: mode, stackWidth: stackWidth)
  }

  /// Decodes the instruction that `bytes` begins with as `state` would execute it next.
  public static func decodeNext(_ bytes: [UInt8], in state: ProcessorState) throws(DecodingError) -> Instruction {
    try decode(
      bytes, at: state.rip, mode: state.mode, stackWidth: state.ss.attributes.contains(.big) ? 32 : 16)
  }

  /// The instruction in Intel's syntax, such as `mov word ptr [0xb8000], 0x248`.
  public var text: String { text(in: .intel) }

  /// The instruction as assembly. Branch targets are instruction pointers.
  public func text(in syntax: AssemblySyntax) -> String {
    Zydis.text(of: self, in: syntax) ?? mnemonic
  }
}
