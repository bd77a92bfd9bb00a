import GuestImage
import X86

/// `execution.other-mode`: code of 64 bits is executed in a 32-bit code segment, or code of 32 bits in 64-bit mode.
struct CodeOfOtherMode: SingleCause, JudgedCause {
  static let id = "execution.other-mode"
  static let title = "Code of one mode is executed in another"
  static let refines = [UndefinedInstruction.id, ExecutingZeroes.id, PageNotMapped.id]

  private let state: ProcessorState
  private let finding: Finding
  /// The selectors of the GDT that name code of 64 bits; nil where the GDT is not known.
  private let longSelectors: [SegmentSelector]?
  private let source: Source

  private enum Finding {
    /// Where code of 64 bits begins, how many instructions it has, and how many of those a REX.W prefix.
    case long(start: UInt64, instructions: Int, prefixed: Int, isBehind: Bool)
    /// What the bytes at RIP and those that follow are in a 32-bit code segment.
    case short([Instruction])
  }

  init?(_ processor: ObservedProcessor, in scene: Scene) {
    let instant = scene.instant(of: processor)
    let source: Source? = scene.memory == nil ? scene.code(of: processor)?.source : .guestMemory
    guard let source, instant.currentPrivilegeLevel == 0 else { return nil }
    let finding: Finding?
    switch processor.state.mode {
    case .compatibility(bits: 32), .protected(bits: 32): finding = Self.codeOf64Bits(at: instant, in: scene)
    case .long64: finding = Self.codeOf32Bits(at: instant, in: scene)
    default: finding = nil
    }
    guard let finding else { return nil }
    (state, self.finding, self.source) = (processor.state, finding, source)
    longSelectors = instant.selectorsOf64BitCode
  }

  // MARK: 64-bit code in a 32-bit code segment

  /// Fewer prefixes may be DEC and INC, which they are in a 32-bit code segment: one of three instructions at least has one.
  private static let leastPrefixed = 3
  /// How far before RIP code is looked for.
  private static let window = 96
  /// How far before RIP zeroes may begin that were run into.
  private static let mostZeroes = 512

  private static func codeOf64Bits(at instant: Instant, in scene: Scene) -> Finding? {
    let pointer = instant.state.instructionAddress.rawValue
    let symbol = scene.image?.symbol(atOrBefore: instant.state.instructionAddress)
    if let symbol, symbol.size > symbol.offset, let run = run(of: symbol, at: instant) {
      return .long(start: run.start, instructions: run.instructions, prefixed: run.prefixed, isBehind: false)
    }
    if let run = run(before: pointer, notBefore: symbol?.start.rawValue ?? 0, at: instant, in: scene) {
      return .long(start: run.start, instructions: run.instructions, prefixed: run.prefixed, isBehind: false)
    }
    // Code of a kernel that runs in compatibility mode is no more than the way to the far jump.
    guard case .compatibility = instant.state.mode, let end = endOfCode(before: pointer, at: instant, in: scene),
      let run = run(before: end, at: instant, in: scene, canEndBefore: true)
    else { return nil }
    return .long(start: run.start, instructions: run.instructions, prefixed: run.prefixed, isBehind: true)
  }

  private typealias Run = (start: UInt64, instructions: Int, prefixed: Int)

  /// A whole function, which is of one mode.
  private static func run(of symbol: Symbol, at instant: Instant) -> Run? {
    let count = Int(min(symbol.size, mostOfFunction))
    let bytes = instant.bytes(at: symbol.start, count: count, for: PageAccess(.read, by: .supervisor))
    let (instructions, length) = decoded(bytes[...], at: symbol.start.rawValue)
    let flags = instructions.map(\.hasWidePrefix)
    let prefixed = flags.count(where: \.self)
    guard bytes.count == count, length + 15 > count, prefixed >= leastPrefixed, prefixed * 4 >= flags.count else {
      return nil
    }
    return (symbol.start.rawValue, flags.count, prefixed)
  }

  private static let mostOfFunction: UInt64 = 512

  /// The code in front of an address that decodes in 64-bit mode, with the most REX.W prefixes.
  ///
  /// - Parameters:
  ///   - first: Where other code may lie in front of.
  ///   - canEndBefore: Whether data may lie between.
  private static func run(
    before end: UInt64, notBefore first: UInt64 = 0, at instant: Instant, in scene: Scene, canEndBefore: Bool = false
  ) -> Run? {
    let count = min(window, Int(clamping: end &- min(first, end)))
    let bytes = code(before: end, count: count, at: instant, in: scene)
    let base = end &- UInt64(bytes.count)
    let runs = bytes.indices.compactMap { offset -> Run? in
      let (instructions, length) = decoded(bytes[offset...], at: base &+ UInt64(offset))
      let flags = instructions.map(\.hasWidePrefix)
      let prefixed = flags.count(where: \.self)
      guard prefixed >= leastPrefixed, prefixed * 3 >= flags.count else { return nil }
      // The last instruction may reach beyond, where it is executed in part. Of other code in front only what lies there has prefixes.
      // Behind a far transfer code of 32 bits may begin, as on the way out of long mode.
      let isUpToEnd =
        offset + length + 15 > bytes.count && flags.suffix(mostRecent).count(where: \.self) >= 2
        && !instructions.suffix(mostRecent).contains(where: \.isFarBranch)
      return canEndBefore || isUpToEnd ? (base &+ UInt64(offset), flags.count, prefixed) : nil
    }
    return runs.max { $0.prefixed < $1.prefixed }
  }

  /// How many instructions right in front of RIP are looked at by themselves.
  private static let mostRecent = 4

  /// The instructions of 64 bits that bytes begin with, and how long they are together.
  private static func decoded(
    _ bytes: ArraySlice<UInt8>, at address: UInt64
  ) -> (instructions: [Instruction], length: Int) {
    var instructions: [Instruction] = []
    var length = 0
    while length < bytes.count,
      let instruction = try? Instruction.decode(
        Array(bytes.dropFirst(length).prefix(15)), at: address &+ UInt64(length), mode: .long64)
    {
      instructions.append(instruction)
      length += instruction.length
    }
    return (instructions, length)
  }

  /// Where the zeroes begin in which RIP is.
  private static func endOfCode(before pointer: UInt64, at instant: Instant, in scene: Scene) -> UInt64? {
    let bytes = code(before: pointer, count: mostZeroes, at: instant, in: scene)
    guard bytes.suffix(16).allSatisfy({ $0 == 0 }), let last = bytes.lastIndex(where: { $0 != 0 }) else { return nil }
    return pointer &- UInt64(bytes.count - 1 - last)
  }

  /// What lies in front of an address; of a guest without memory what a listing of the executed code has there, which may be less.
  private static func code(before end: UInt64, count: Int, at instant: Instant, in scene: Scene) -> [UInt8] {
    guard end >= UInt64(count) else { return [] }
    if scene.memory == nil { return scene.codeAsListed(before: end, count: count) }
    let start = LinearAddress(end - UInt64(count))
    return instant.bytes(at: start, count: count, for: PageAccess(.read, by: .supervisor))
  }

  // MARK: 32-bit code in 64-bit mode

  /// How many instructions must follow one another to be called code.
  private static let leastInstructions = 6

  /// The instruction at RIP is one that 64-bit mode took away, and what follows it is code in a 32-bit code segment.
  private static func codeOf32Bits(at instant: Instant, in scene: Scene) -> Finding? {
    let next = NextInstruction(at: instant)
    guard let exception = next.certainException, exception.vector == .invalidOpcode,
      case .noInstruction = exception.reason
    else { return nil }
    let pointer = instant.state.instructionAddress
    let bytes = instant.bytes(at: pointer, count: 64, for: PageAccess(.fetch, by: .supervisor))
    // Letters are PUSHA, POPA and prefixes, too.
    guard bytes.count == 64, bytes.prefix(16).count(where: { (0x20..<0x7F).contains($0) }) < 12 else { return nil }
    var instructions: [Instruction] = []
    var offset = 0
    while instructions.count < leastInstructions {
      guard
        let instruction = try? Instruction.decode(
          Array(bytes[offset...].prefix(15)), at: pointer.rawValue &+ UInt64(offset), mode: .protected(bits: 32)),
        instruction.isaExtension == "BASE", instruction.bytes != [0, 0]
      else { return nil }
      instructions.append(instruction)
      if ["ret", "jmp", "iretd"].contains(instruction.mnemonic), instructions.count > 2 { break }
      offset += instruction.length
    }
    return .short(instructions)
  }

  // MARK: Words

  private var cs: String { state.cs.selector.rawValue.hexadecimal }
  private var pointer: String { state.instructionAddress.rawValue.hexadecimal }

  var summary: String {
    switch finding {
    case .long(let start, let instructions, let prefixed, let isBehind):
      let place =
        isBehind
        ? "RIP is \(pointer), among zeroes that lie behind code of 64 bits"
        : "The code at RIP (\(pointer)) is of 64 bits"
      let mode = state.isLongModeActive ? "Long mode is active, but CS" : "Long mode is not active, and CS"
      return
        "\(place): from \(start.hexadecimal) on \(prefixed) of \(instructions) instructions have a REX.W prefix. \(mode) (\(cs)) is a code segment of 32 bits, "
        + "where each such prefix is DEC or INC, and addresses relative to RIP are absolute ones: what is executed is not what was written.\(noneInTable)"
    case .short(let instructions):
      let code = instructions.prefix(3).map { "`\($0.text)`" }.joined(separator: ", ")
      return
        "The bytes at RIP (\(pointer)) are code of 32 bits: \(code). The processor is in 64-bit mode, which has no \(instructions.first?.mnemonic.uppercased() ?? "such instruction") (#UD), and takes others for something else."
    }
  }

  private var noneInTable: String {
    state.isLongModeActive && longSelectors?.isEmpty == true
      ? " The GDT has no code segment of 64 bits at all: no descriptor of code has L set." : ""
  }

  var remedies: [Remedy] {
    switch finding {
    case .short:
      [
        .guest(
          "assemble or compile this code for 64 bits (BITS 64, .code64, -m64), or go to a 32-bit code segment by a far transfer before it",
          "The mode is that of CS; an assembler is told by a directive alone.")
      ]
    case .long where !state.isLongModeActive:
      [
        .guest(
          "turn on long mode, and make a far jump to a 64-bit code segment, before the first code of 64 bits",
          "A loader with a 32-bit entry, as Multiboot's, starts the kernel in protected mode.")
      ]
    case .long:
      if let selector = longSelectors?.first {
        [
          .guest(
            "make the far jump after CR0.PG to the 64-bit code segment, selector \(selector.rawValue.hexadecimal)",
            "CS keeps its 32 bits until it is loaded with a descriptor that has L set.")
        ]
      } else if longSelectors == nil {
        [
          .guest(
            "make the far jump after CR0.PG to a code segment whose descriptor has L (bit 53) set and D (bit 54) clear",
            "CS keeps its 32 bits until it is loaded with a descriptor that has L set.")
        ]
      } else {
        [
          .guest(
            "set L (bit 53) and clear D (bit 54) in the GDT's descriptor of the kernel's code: 00AF9A000000FFFFH",
            "A descriptor without L is one of 32-bit code, in long mode too.")
        ]
      }
    }
  }

  var evidence: [Evidence] { [Evidence("The code, decoded in either mode", source)] }
}

extension Instruction {
  /// Whether a REX prefix with W stands right in front of the opcode (SDM vol. 2, 2.2.1).
  fileprivate var hasWidePrefix: Bool {
    guard encoding == .legacy, isaExtension == "BASE" else { return false }
    let prefixes: Set<UInt8> = [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3]
    guard let place = bytes.firstIndex(where: { !prefixes.contains($0) }), place + 1 < bytes.count else { return false }
    // One REX prefix in front of another is DEC and INC.
    return bytes[place] & 0xF8 == 0x48 && bytes[place + 1] & 0xF0 != 0x40
  }
}

extension Instant {
  /// The selectors of the GDT's first entries that name present code of 64 bits; nil where an entry is not known.
  fileprivate var selectorsOf64BitCode: [SegmentSelector]? {
    let count = min((UInt32(state.gdtr.limit) + 1) / 8, 64)
    var selectors: [SegmentSelector] = []
    for selector in (0..<count).map({ SegmentSelector(rawValue: UInt16($0 * 8)) }) where !selector.isNull {
      switch descriptor(selector) {
      case .found(let descriptor):
        if descriptor.isCode, descriptor.attributes.contains([.long, .present]) { selectors.append(selector) }
      case .unknown: return nil
      default: continue
      }
    }
    return selectors
  }
}

extension CodeOfOtherMode {
  static let manual = """
    Code that was made for 64-bit mode is executed in a 32-bit code segment, or the reverse. Most bytes are an instruction in either mode, so it runs for
    a while and does something else: a REX prefix is INC or DEC of a register in a 32-bit code segment, a displacement from RIP is an absolute address,
    and 64-bit mode has no PUSHA, no direct far jump and no INTO.

    ## How to recognise it

    The mode that CS has is not the one that the code at RIP makes sense in. `CS64` or `CS32` in QEMU's register dump tells the former; a disassembly with
    `dec eax` in front of every other instruction is one of 64-bit code in the wrong mode.

    ## Why

    - The GDT's descriptor of 64-bit code has D set instead of L, or the far jump after CR0.PG goes to the 32-bit one.
    - A kernel of 64 bits is entered by a loader that starts kernels in protected mode.
    - BITS 64 or .code64 is missing in front of a function, or BITS 32 still holds.

    ## The cure

    Load CS with a descriptor that has L set and D clear before the first code of 64 bits, and tell the assembler the mode where it changes.

    SDM vol. 2, 2.2.1; vol. 3, 3.4.5 (L, D/B), 9.8.5.
    """
}
