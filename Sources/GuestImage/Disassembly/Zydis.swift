import CZydis
import X86

/// Decoding by Zydis 4.0; nothing else calls it.
///
/// Zydis keeps no state between calls and takes no lengths from the bytes it decodes. The unsafe parts are the pointers
/// it is handed, which live for the call, and the static strings that it returns.
enum Zydis {
  /// The longest text Zydis makes is well below this; a longer one would be refused, not cut.
  private static let textCapacity = 256

  static func decode(
    _ bytes: [UInt8], at address: UInt64, mode: ProcessorMode, stackWidth: Int?
  ) throws(DecodingError) -> Instruction {
    var decoded = unsafe CZydisDecoded()
    let stack = mode == .long64 ? 64 : (stackWidth ?? mode.codeWidth)
    try unsafe decode(bytes, mode: mode, stackWidth: stack, into: &decoded)
    let length = Int(unsafe decoded.instruction.length)
    let mnemonic = unsafe decoded.instruction.mnemonic
    return unsafe Instruction(
      address: address,
      bytes: Array(bytes.prefix(length)),
      mode: mode,
      stackWidth: stack,
      operandWidth: Int(decoded.instruction.operand_width),
      addressWidth: Int(decoded.instruction.address_width),
      mnemonic: string(ZydisMnemonicGetString(mnemonic)),
      operands: operands(of: &decoded, at: address),
      category: string(ZydisCategoryGetString(decoded.instruction.meta.category)),
      isaExtension: string(ZydisISAExtGetString(decoded.instruction.meta.isa_ext)),
      isaSet: string(ZydisISASetGetString(decoded.instruction.meta.isa_set)),
      encoding: encoding(decoded.instruction.encoding),
      isPrivileged: CZydisIsPrivileged(&decoded) != 0 || isPrivilegedThoughZydisDoesNotSaySo(mnemonic),
      isFarBranch: decoded.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
  }

  static func text(of instruction: Instruction, in syntax: AssemblySyntax) -> String? {
    var decoded = unsafe CZydisDecoded()
    do throws(DecodingError) {
      try unsafe decode(instruction.bytes, mode: instruction.mode, stackWidth: instruction.stackWidth, into: &decoded)
    } catch {
      return nil
    }
    let style = syntax == .intel ? ZYDIS_FORMATTER_STYLE_INTEL : ZYDIS_FORMATTER_STYLE_ATT
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: textCapacity) { text in
      guard let start = text.baseAddress else { return nil }
      guard unsafe CZydisFormat(&decoded, style, instruction.address, start, text.count) != 0 else { return nil }
      return unsafe String(cString: start)
    }
  }

  private static func decode(
    _ bytes: [UInt8], mode: ProcessorMode, stackWidth: Int, into decoded: inout CZydisDecoded
  ) throws(DecodingError) {
    guard !bytes.isEmpty else { throw .truncated }
    let outcome = unsafe bytes.withUnsafeBytes { bytes in
      unsafe CZydisDecode(mode.zydisMode, zydisStackWidth(stackWidth), bytes.baseAddress, bytes.count, &decoded)
    }
    switch outcome {
    case CZYDIS_OK: return
    case CZYDIS_TRUNCATED: throw .truncated
    case CZYDIS_TOO_LONG: throw .tooLong
    case CZYDIS_ILLEGAL_LOCK: throw .illegalLock
    case CZYDIS_BAD_REGISTER: throw .badRegister
    default: throw .undefined
    }
  }

  private static func zydisStackWidth(_ bits: Int) -> ZydisStackWidth {
    switch bits {
    case 16: ZYDIS_STACK_WIDTH_16
    case 32: ZYDIS_STACK_WIDTH_32
    default: ZYDIS_STACK_WIDTH_64
    }
  }

  private static func encoding(_ encoding: ZydisInstructionEncoding) -> Instruction.Encoding {
    switch encoding {
    case ZYDIS_INSTRUCTION_ENCODING_3DNOW: .threeDNow
    case ZYDIS_INSTRUCTION_ENCODING_XOP: .xop
    case ZYDIS_INSTRUCTION_ENCODING_VEX: .vex
    case ZYDIS_INSTRUCTION_ENCODING_EVEX: .evex
    case ZYDIS_INSTRUCTION_ENCODING_MVEX: .mvex
    default: .legacy
    }
  }

  /// Every name that `Instruction.isaSet` may have.
  static var instructionSets: [String] {
    (0...ZYDIS_ISA_SET_MAX_VALUE.rawValue).map { unsafe string(ZydisISASetGetString(ZydisISASet(rawValue: $0))) }
  }

  // MARK: Operands

  private static func operands(of decoded: inout CZydisDecoded, at address: UInt64) -> [Operand] {
    let category = unsafe decoded.instruction.meta.category
    let mnemonic = unsafe decoded.instruction.mnemonic
    let usesAddressOnly =
      category == ZYDIS_CATEGORY_WIDENOP || category == ZYDIS_CATEGORY_PREFETCH || mnemonic == ZYDIS_MNEMONIC_INVLPG
    var operands: [Operand] = []
    for index in 0..<Int(unsafe decoded.instruction.operand_count) {
      let source = unsafe CZydisOperand(&decoded, index)
      guard let value = unsafe value(of: source, index: index, in: &decoded, at: address) else { continue }
      var operand = Operand(
        value: value, size: Int(source.size) / 8, access: Operand.Access(rawValue: UInt8(source.actions)),
        isExplicit: source.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
      if var reference = operand.memory {
        // Zydis calls these reads, and leaves out the index of XLAT (SDM vol. 2, XLAT: DS:[rBX + unsigned AL]).
        if usesAddressOnly { reference.purpose = .addressOnly }
        if mnemonic == ZYDIS_MNEMONIC_XLAT { reference.index = .general(number: 0, bits: 8) }
        if reference.purpose == .addressOnly { operand.access = [] }
        operand.value = .memory(reference)
      }
      operands.append(operand)
    }
    return operands
  }

  private static func value(
    of operand: ZydisDecodedOperand, index: Int, in decoded: inout CZydisDecoded, at address: UInt64
  ) -> Operand.Value? {
    switch operand.type {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      return register(CZydisOperandRegister(operand)).map { .register($0) }
    case ZYDIS_OPERAND_TYPE_MEMORY:
      return .memory(reference(CZydisOperandMemory(operand)))
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      guard CZydisOperandIsRelative(operand) != 0 else {
        return .immediate(CZydisOperandImmediate(operand))
      }
      var target: UInt64 = 0
      guard unsafe CZydisBranchTarget(&decoded, index, address, &target) != 0 else { return nil }
      return .branchTarget(target)
    case ZYDIS_OPERAND_TYPE_POINTER:
      let pointer = CZydisOperandPointer(operand)
      return .farPointer(selector: pointer.segment, offset: pointer.offset)
    default:
      return nil
    }
  }

  private static func reference(_ memory: ZydisDecodedOperandMem) -> MemoryReference {
    let purpose: MemoryReference.Purpose =
      switch memory.type {
      case ZYDIS_MEMOP_TYPE_MEM: .access
      case ZYDIS_MEMOP_TYPE_AGEN: .addressOnly
      default: .severalAddresses
      }
    let segment = SegmentRegister(rawValue: Int(ZydisRegisterGetId(memory.segment)))
    return MemoryReference(
      purpose: purpose, segment: segment ?? .ds, base: register(memory.base), index: register(memory.index),
      scale: max(1, Int(memory.scale)), displacement: memory.disp.has_displacement != 0 ? memory.disp.value : 0)
  }

  private static func register(_ register: ZydisRegister) -> Register? {
    guard register != ZYDIS_REGISTER_NONE else { return nil }
    let id = Int(ZydisRegisterGetId(register))
    switch ZydisRegisterGetClass(register) {
    case ZYDIS_REGCLASS_GPR8: return byteRegister(id)
    case ZYDIS_REGCLASS_GPR16: return .general(number: id, bits: 16)
    case ZYDIS_REGCLASS_GPR32: return .general(number: id, bits: 32)
    case ZYDIS_REGCLASS_GPR64: return .general(number: id, bits: 64)
    case ZYDIS_REGCLASS_CONTROL: return .control(number: id)
    case ZYDIS_REGCLASS_DEBUG: return .debug(number: id)
    case ZYDIS_REGCLASS_FLAGS: return .flags
    case ZYDIS_REGCLASS_IP:
      let bits = register == ZYDIS_REGISTER_RIP ? 64 : register == ZYDIS_REGISTER_EIP ? 32 : 16
      return .instructionPointer(bits: bits)
    case ZYDIS_REGCLASS_SEGMENT: return SegmentRegister(rawValue: id).map { .segment($0) }
    default: return .other(name: unsafe string(ZydisRegisterGetString(register)))
    }
  }

  /// Zydis numbers AL, CL, DL, BL, then AH, CH, DH, BH, then SPL to R15B (Zydis/Register.h, 4.0).
  private static func byteRegister(_ id: Int) -> Register {
    switch id {
    case 0...3: .general(number: id, bits: 8)
    case 4...7: .highByte(number: id - 4)
    default: .general(number: id - 4, bits: 8)
    }
  }

  /// A static string of Zydis; empty where it has none.
  private static func string(_ pointer: UnsafePointer<CChar>?) -> String {
    guard let pointer = unsafe pointer else { return "" }
    return unsafe String(cString: pointer)
  }
}

extension ProcessorMode {
  /// The default width of operands and addresses in bits: 16, 32 or 64.
  var codeWidth: Int {
    switch self {
    case .real, .virtual8086: 16
    case .protected(let bits), .compatibility(let bits): bits == 16 ? 16 : 32
    case .long64: 64
    }
  }

  fileprivate var zydisMode: ZydisMachineMode {
    switch self {
    // Virtual-8086 mode refuses the same instructions that real mode does (SDM vol. 3, 21.2.2).
    case .real, .virtual8086: ZYDIS_MACHINE_MODE_REAL_16
    case .protected(bits: 16): ZYDIS_MACHINE_MODE_LEGACY_16
    case .protected: ZYDIS_MACHINE_MODE_LEGACY_32
    case .compatibility(bits: 16): ZYDIS_MACHINE_MODE_LONG_COMPAT_16
    case .compatibility: ZYDIS_MACHINE_MODE_LONG_COMPAT_32
    case .long64: ZYDIS_MACHINE_MODE_LONG_64
    }
  }
}

/// Privileged instructions that Zydis 4.0 does not mark (measured): the loads of descriptor-table and task registers
/// (SDM vol. 3, 5.9), and most of SVM's (APM vol. 3, "System Instruction Reference").
private func isPrivilegedThoughZydisDoesNotSaySo(_ mnemonic: ZydisMnemonic) -> Bool {
  switch mnemonic {
  case ZYDIS_MNEMONIC_LGDT, ZYDIS_MNEMONIC_LIDT, ZYDIS_MNEMONIC_LLDT, ZYDIS_MNEMONIC_LTR: true
  case ZYDIS_MNEMONIC_VMRUN, ZYDIS_MNEMONIC_VMLOAD, ZYDIS_MNEMONIC_VMSAVE: true
  case ZYDIS_MNEMONIC_STGI, ZYDIS_MNEMONIC_CLGI, ZYDIS_MNEMONIC_SKINIT: true
  default: false
  }
}
