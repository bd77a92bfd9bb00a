import GuestImage
import X86

/// `execution.zeroes`: in real mode the code segment is all zeroes, and IP wraps at its end: the same nothing is executed for ever.
struct ZeroesOfRealMode: CauseOfHang {
  private let processor: ObservedProcessor
  private let others: Int

  var id: String { ExecutingZeroes.id }
  var title: String { ExecutingZeroes.title }
  /// A device's DMA may be what the others wait for.
  var confidence: Confidence { others == 0 ? .proven : .likely }

  /// One processor with interrupts off among zeroes; the others that were started wait in memory for what nobody does, or are halted.
  init?(_ hang: Hang) {
    let started = hang.started.map(\.processor)
    let stuck = started.filter { Self.isAmongZeroes(hang.scene.instant(of: $0)) }
    guard let first = stuck.first else { return nil }
    let waiting = started.filter { processor in !stuck.contains { $0.index == processor.index } }
    guard waiting.allSatisfy({ Self.waits(hang.scene.instant(of: $0)) }) else { return nil }
    (processor, others) = (first, waiting.count)
  }

  /// 00 00 is ADD [BX+SI], AL: it changes one byte, if AL is not 0, which must lie elsewhere.
  private static func isAmongZeroes(_ instant: Instant) -> Bool {
    let state = instant.state
    guard state.mode == .real, state.isHalted != true, !state.rflags.contains(.interruptEnable),
      let code = try? instant.memory.bytes(at: PhysicalAddress(state.cs.base), count: 0x1_0000),
      code.allSatisfy({ $0 == 0 })
    else { return false }
    let changed = state.ds.base &+ (state.generalPurpose.rbx &+ state.generalPurpose.rsi) & 0xFFFF
    return state.generalPurpose.rax & 0xFF == 0 || changed &- state.cs.base >= 0x1_0000
  }

  private static func waits(_ instant: Instant) -> Bool {
    guard !instant.state.rflags.contains(.interruptEnable) else { return false }
    return instant.state.isHalted == true || ShortLoop(at: instant).map { $0.accesses.isEmpty } ?? false
  }

  private var begin: UInt64 { processor.state.cs.base }

  var summary: String {
    let name = others == 0 ? "The processor" : "Processor \(processor.index)"
    let waiting = others == 0 ? "" : " The others only look at memory with interrupts off, or are halted."
    return
      "\(name) is in real mode at \(processor.state.instructionAddress.rawValue.hexadecimal), and its code segment, \(begin.hexadecimal) to \((begin + 0xFFFF).hexadecimal), is all zeroes. Two of them are an instruction, `add [bx+si], al`; at the end IP wraps to 0. Interrupts are off: it goes round for ever.\(waiting)"
  }

  var remedies: [Remedy] {
    [
      .guest(
        "load the code before it is jumped to: INT 13H for further sectors, a copy for the trampoline of a further processor",
        "What was never loaded is zero."),
      .guest(
        "check the address: CS times 16; the vector of a startup IPI is the address divided by 1000H",
        "The segment begins at \(begin.hexadecimal)."),
    ]
  }
}
