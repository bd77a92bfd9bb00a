import GuestImage
import QEMU
import X86

/// `hang.self-loop`, `hang.interrupts-off`, `hang.spin`, `hang.poll` or `execution.zeroes` by a log of `-d int,in_asm` that ends with a block from which nothing leads on.
///
/// TCG lists a block right before it is executed for the first time, and logs each interrupt and exception. Where a log ends with a block that can
/// only go on to itself, the guest was in it until QEMU was ended.
struct LoggedLoop: CauseOfHang {
  private enum End {
    case selfLoop, halt, spin
    /// A device at this port is asked.
    case poll(UInt16)
    /// So many bytes up to the end of the log are zero.
    case zeroes(Int)

    var cause: (id: String, title: String) {
      switch self {
      case .selfLoop: (SelfLoop.id, SelfLoop.title)
      case .halt: (HaltedForGood.id, HaltedForGood.title)
      case .spin: (SpinLoop.id, SpinLoop.title)
      case .poll: (PollLoop.id, PollLoop.title)
      case .zeroes: (ExecutingZeroes.id, ExecutingZeroes.title)
      }
    }
  }

  private let end: End
  /// The last event of the log, where that is an interrupt that the 8259 delivered on the vector of an exception: then the handler of that
  /// is where the guest came to its end.
  private let tick: LoggedDelivery?
  private let last: Instruction
  private let source: Source

  /// Fewer may be padding that is listed with what is executed.
  private static let fewestZeroes = 512

  /// A block before it that was listed already may have been executed since, with interrupts on.
  let confidence = Confidence.likely

  /// Another processor's blocks would stand between those of one.
  init?(_ hang: Hang) {
    let scene = hang.scene
    guard scene.memory == nil, scene.trace.isEmpty,
      let (listing, source) = scene.lastListing, let block = listing.instructions, let last = block.last,
      let first = block.first
    else { return nil }
    (self.last, self.source) = (last, source)
    if let count = scene.zeroes(upTo: listing), count >= Self.fewestZeroes {
      (end, tick) = (.zeroes(count), nil)
      return
    }
    guard scene.commandLine?.processorCount == 1, scene.wasEndedBySignal else { return nil }
    if last.mnemonic == "jmp", last.branchTarget == last.address {
      end = .selfLoop
    } else if last.mnemonic == "hlt", scene.hasTurnedInterruptsOff {
      end = .halt
    } else if last.mnemonic.hasPrefix("j"), last.branchTarget == first.address, scene.hasTurnedInterruptsOff,
      block.dropLast().allSatisfy(\.onlyLooks)
    {
      end = .spin
    } else if let port = scene.polledPort(block), !ShortLoop.Access.port(port).mayAnswerLater {
      (end, tick) = (.poll(port), nil)
      return
    } else {
      return nil
    }
    tick = scene.tickAtEnd
  }

  var id: String { tick == nil ? end.cause.id : PICNotRemapped.id }
  var title: String { tick == nil ? end.cause.title : PICNotRemapped.title }

  var summary: String { tick.map(summary(of:)) ?? summaryOfEnd }

  private func summary(of tick: LoggedDelivery) -> String {
    "The last that came was an interrupt from a device, on vector \(tick.vector.rawValue): the 8259 has the vectors that firmware gave it for real mode. To "
      + "protected mode the vector is that of \(tick.vector.name), and the handler of that exception got the interrupt. \(summaryOfEnd)"
  }

  private var summaryOfEnd: String {
    let place = "`\(last.text)` at \(last.address.hexadecimal)"
    let rest = "No interrupt came until QEMU was ended"
    switch end {
    case .zeroes(let count):
      return
        "The log ends with \(count) zero bytes or more that are executed one after another, up to \(place): two of them are an instruction. Something jumped to where no code was loaded, or ran past the end of its own."
    case .selfLoop: return "The log ends with a block that ends in \(place), a jump to itself. \(rest)."
    case .halt:
      return
        "The log ends with a block that ends in \(place). \(rest), and nothing that was listed since the last CLI turns interrupts on."
    case .poll(let port):
      return
        "The log ends with a loop that ends in \(place), and that does nothing but ask port \(port.hexadecimal). It had not answered otherwise when QEMU was ended."
    case .spin:
      return
        "The log ends with a loop that ends in \(place), and that only looks at memory. \(rest), and nothing that was listed since the last CLI turns them on."
    }
  }

  var remedies: [Remedy] { tick == nil ? remediesOfEnd : [PICNotRemapped.remedy] }

  private var remediesOfEnd: [Remedy] {
    switch end {
    case .selfLoop:
      [
        .guest(
          "find out why the guest came to this place", "A message in front of the loop, and HLT in it, would tell.")
      ]
    case .halt:
      [
        .guest(
          "if the guest was to wait for an interrupt: STI right before HLT; if it had ended: leave through a device that ends QEMU (ACPI "
            + "power-off, isa-debug-exit)", "STI takes effect after the next instruction.")
      ]
    case .zeroes:
      [
        .guest(
          "load the code before it is jumped to, or check the address: the first block of zeroes in the log follows the jump",
          "What was never loaded is zero.")
      ]
    case .poll: PollLoop.remedies
    case .spin:
      [.guest("STI before the loop, if a handler is to change what it waits for", "With interrupts off none runs.")]
    }
  }

  var evidence: [Evidence] {
    [
      tick.map { Evidence("An interrupt from a device on vector \($0.vector.rawValue.hexadecimal)", $0.source) },
      Evidence("The last block that TCG listed; no interrupt or exception follows", source),
    ].compactMap(\.self)
  }
}

extension Scene {
  /// How many zero bytes lie up to the end of a listing that has no others, as far as listings show them; nil where it has.
  fileprivate func zeroes(upTo listing: CodeListing) -> Int? {
    guard let start = listing.lines.first?.address, listing.lines.allSatisfy({ $0.bytes.allSatisfy { $0 == 0 } }) else {
      return nil
    }
    let own = listing.lines.reduce(0) { $0 + $1.bytes.count }
    return own + codeAsListed(before: start, count: 4096).reversed().prefix { $0 == 0 }.count
  }
}

extension Scene {
  /// The interrupt with which the log ends, where the first 8259 delivered it on the vector of an exception: one, for a kernel that has its handlers
  /// there ends each and gets more.
  fileprivate var tickAtEnd: LoggedDelivery? {
    let deliveries = LoggedDelivery.all(in: log)
    let ticks = deliveries.filter { $0.isOfDevice && PICNotRemapped.vectors.contains($0.vector.rawValue) }
    guard let last = deliveries.last, ticks.count == 1, ticks.first?.source == last.source else { return nil }
    return last
  }

  /// Whether somebody ended QEMU with a signal.
  fileprivate var wasEndedBySignal: Bool {
    log.contains { entry in
      if case .statement(let statement) = entry.value { statement.kind == .terminating } else { false }
    }
  }

  /// Whether of the instructions that were listed, and that tell of interrupts, the last is CLI. STI, POPF and IRET may turn them on.
  fileprivate var hasTurnedInterruptsOff: Bool {
    for entry in log.reversed() {
      guard case .codeListing(let listing) = entry.value, listing.isOfGuest else { continue }
      for line in listing.lines.reversed() {
        let opcode = line.bytes.first { ![0x66, 0x48].contains($0) }
        if line.bytes.count <= 2, [0xFB, 0x9D, 0xCF].contains(opcode) { return false }
        if line.bytes == [0xFA] { return true }
      }
    }
    return false
  }
}

extension CodeListing {
  /// The instructions of the block, in the mode in which each has just the bytes of its line; nil where none has.
  var instructions: [Instruction]? {
    let bytes = lines.flatMap(\.bytes)
    guard let start = lines.first?.address, bytes.count <= 4096 else { return nil }
    let modes: [ProcessorMode] = [.long64, .protected(bits: 32), .protected(bits: 16)]
    return modes.lazy.compactMap { mode in decoded(bytes, at: start, mode) }.first
  }

  private func decoded(_ bytes: [UInt8], at start: UInt64, _ mode: ProcessorMode) -> [Instruction]? {
    var instructions: [Instruction] = []
    var offset = 0
    while offset < bytes.count {
      guard
        let next = try? Instruction.decode(
          Array(bytes[offset...].prefix(15)), at: start &+ UInt64(offset), mode: mode),
        lines.contains(where: { $0.address == next.address })
      else { return nil }
      instructions.append(next)
      offset += next.length
    }
    // A line that goes on has no instruction of its own.
    let isFitting = lines.allSatisfy { line in
      instructions.contains { line.address &- $0.address < UInt64($0.length) }
    }
    return isFitting ? instructions : nil
  }
}

extension Scene {
  /// The only port that a block asks which can go on to itself alone as long as the answer is the same; nil for every other block.
  ///
  /// The port may come from the block before, where that leads there.
  fileprivate func polledPort(_ block: [Instruction]) -> UInt16? {
    guard let first = block.first, let last = block.last, last.mnemonic.hasPrefix("j"),
      last.branchTarget == first.address,
      block.dropLast().allSatisfy({ $0.onlyLooks || $0.mnemonic == "in" }), !block.contains(where: \.comparesMemory)
    else { return nil }
    let listings = log.suffix(Self.mostBetween).compactMap { entry -> [Instruction]? in
      if case .codeListing(let listing) = entry.value, listing.isOfGuest { listing.instructions } else { nil }
    }
    var constants = ListedConstants()
    if let before = listings.dropLast().last, let end = before.last,
      end.branchTarget == first.address || end.address &+ UInt64(end.length) == first.address
    {
      before.forEach { constants.take($0) }
    }
    // Twice: what the second round finds is what every later one finds.
    var ports: Set<UInt16?> = []
    for round in 0..<2 {
      for instruction in block {
        if round == 1, instruction.mnemonic == "in" { ports.insert(instruction.port(constants)) }
        constants.take(instruction)
      }
    }
    return ports.count == 1 ? ports.first ?? nil : nil
  }

  /// Among how many entries of the log the last two blocks are looked for.
  private static let mostBetween = 8
}

extension Instruction {
  /// Whether what it finds in memory may end a loop.
  fileprivate var comparesMemory: Bool { !mnemonic.hasPrefix("mov") && !memoryOperands.isEmpty && mnemonic != "lea" }

  /// Whether it does no more than look at memory and registers.
  fileprivate var onlyLooks: Bool {
    mnemonic != "in" && ShortLoop.harmless.contains(mnemonic)
      && memoryOperands.allSatisfy { !$0.isWrite }
  }
}
