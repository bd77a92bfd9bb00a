import GuestImage
import X86

/// `hang.spin`: a loop that waits for what nothing can change.
struct SpinLoop: CauseOfHang, SingleCause {
  static let id = "hang.spin"
  static let title = "A loop that waits for what nothing changes"
  let confidence = Confidence.likely
  let mayEndHandler = true
  /// The loops, by the number of the processor that runs in each.
  private let loops: [(processor: Int, loop: ShortLoop)]

  /// Each processor that was started runs, with interrupts off, in a loop that reads RAM and writes nothing, or is halted with interrupts off: nobody is
  /// left who could change what the loops wait for. A lock that is tried again and again is written, with what it holds already.
  init?(_ hang: Hang) {
    guard hang.started.allSatisfy({ !$0.processor.state.rflags.contains(.interruptEnable) }) else { return nil }
    let running = hang.started.map(\.processor).filter { $0.state.isHalted != true }
    let loops = running.compactMap { processor in
      ShortLoop(at: hang.scene.instant(of: processor), tryingLocks: true).map { (processor.index, $0) }
    }
    guard !loops.isEmpty, loops.count == running.count,
      loops.allSatisfy({ $0.1.accesses.allSatisfy(\.isLock) })
    else { return nil }
    self.loops = loops
  }

  private static func words(_ loop: ShortLoop) -> String {
    let place =
      "in a loop from `\(loop.first.text)` at \(loop.first.address.hexadecimal) to `\(loop.last.text)` at \(loop.last.address.hexadecimal)"
    for access in loop.accesses {
      guard case .lock(let address, let value) = access else { continue }
      return
        "\(place), which tries to take the lock at \(address.rawValue.hexadecimal), and that holds \(value.hexadecimal)"
    }
    return "\(place), which reads memory and writes none"
  }

  var summary: String {
    guard loops.count > 1 else {
      return
        "The processor runs \(Self.words(loops[0].loop)). Interrupts are off (RFLAGS.IF is 0) and no other processor runs: nothing but a device's DMA can end it."
    }
    let all = loops.map { "Processor \($0.processor) runs \(Self.words($0.loop))." }.joined(separator: " ")
    return
      "\(all) Interrupts are off on each (RFLAGS.IF is 0), and no other processor runs: nobody is left to change what they wait for, but a device's DMA."
  }

  var remedies: [Remedy] {
    guard loops.count > 1 else {
      return [
        .guest(
          "STI before the loop, if an interrupt's handler is to change what it waits for; start the other processors, if one of them is; release a lock "
            + "before it is taken again", "With interrupts off no handler runs.")
      ]
    }
    return [
      .guest(
        "never wait for another processor with interrupts off, or while holding a lock that it may wait for; answer its requests in the loop (a shootdown of "
          + "the TLB, a call), and take locks in one order",
        "An IPI reaches a processor only with interrupts on.")
    ]
  }

  static let manual = """
    Each processor that runs is in a short loop that looks at memory until it changes, with interrupts off. The handler, or the processor, that was to
    change it never runs.

    ## Why

    A wait for the timer's tick or for a device's interrupt before STI, or inside a handler or a critical section; a spin lock taken twice by
    the same processor; a wait for further processors that were not started, or that died before they said so. With several processors: one waits
    for the answer to an IPI, the other, with interrupts off, for a lock that the first one holds; or two take two locks in different orders.

    ## The cure

    Turn interrupts on before the wait, or poll the device itself. Do not wait for another processor while it may wait for this one.

    SDM vol. 3, 6.8.1.
    """
}
