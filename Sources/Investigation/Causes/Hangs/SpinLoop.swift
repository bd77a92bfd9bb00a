import GuestImage
import X86

/// `hang.spin`: a loop that waits for what nothing can change.
struct SpinLoop: CauseOfHang, SingleCause {
  static let id = "hang.spin"
  static let title = "A loop that waits for what nothing changes"
  let confidence = Confidence.likely
  private let first: Instruction
  private let last: Instruction

  /// One processor that runs, with interrupts off, in a loop that reads RAM and writes nothing.
  init?(_ hang: Hang) {
    let running = hang.processors.filter { !ResetObservations.isReset($0.processor.state) }
    guard running.count == 1, let (processor, _) = running.first, !processor.state.rflags.contains(.interruptEnable),
      processor.state.isHalted != true, let loop = ShortLoop(at: hang.scene.instant(of: processor)),
      loop.accesses.isEmpty
    else { return nil }
    (first, last) = (loop.first, loop.last)
  }

  var summary: String {
    "The processor runs in a loop from `\(first.text)` at \(first.address.hexadecimal) to `\(last.text)` at \(last.address.hexadecimal), which reads "
      + "memory and writes none. Interrupts are off (RFLAGS.IF is 0) and no other processor runs: nothing but a device's DMA can end it."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "STI before the loop, if an interrupt's handler is to change what it waits for; start the other processors, if one of them is",
        "With interrupts off no handler runs.")
    ]
  }

  static let manual = """
    The only processor that runs is in a short loop that looks at memory until it changes, with interrupts off. The handler, or the processor, that
    was to change it never runs.

    ## Why

    A wait for the timer's tick or for a device's interrupt before STI, or inside a handler or a critical section; a spin lock taken twice by
    the same processor; a wait for further processors that were not started.

    ## The cure

    Turn interrupts on before the wait, or poll the device itself.

    SDM vol. 3, 6.8.1.
    """
}
