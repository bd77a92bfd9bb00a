import X86

/// `hang.interrupts-off`: every vCPU is halted, and none can be woken.
struct HaltedForGood: CauseOfHang, SingleCause {
  static let id = "hang.interrupts-off"
  static let title = "Halted with interrupts off"
  let confidence = Confidence.proven
  let mayEndHandler = true
  private let count: Int

  /// A further processor that was never started waits for its startup interrupt, halted and as after a reset.
  init?(_ hang: Hang) {
    let started = hang.started.map(\.processor.state)
    guard !started.isEmpty, started.allSatisfy({ $0.isHalted == true && !$0.rflags.contains(.interruptEnable) }) else {
      return nil
    }
    count = started.count
  }

  var summary: String {
    let who = count == 1 ? "The processor is" : "All \(count) processors that were started are"
    return
      "\(who) halted (HLT) with interrupts off (RFLAGS.IF is 0): only an NMI, SMI or reset can wake it, and nobody sends one. Kernels end "
      + "so on purpose, after a panic or at the end of main; else an interrupt was to come that was turned off."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "if the guest was to wait for an interrupt: STI right before HLT; if it had ended: leave through a device that ends QEMU (ACPI "
          + "power-off, isa-debug-exit)", "STI takes effect after the next instruction, so STI; HLT loses no interrupt."
      )
    ]
  }
}

extension HaltedForGood {
  static let manual = """
    Every processor that was started is in HLT while RFLAGS.IF is 0. Only an NMI, an SMI, INIT or a reset could wake one.

    ## Why

    Kernels end so on purpose: after a panic, or when main returns. Else STI is missing before HLT in the idle loop; or an exception's handler
    halts, and nobody saw why: its message may be on the console. Where the stack shows which fault that was, the verdict names it instead.

    ## The cure

    In the idle loop, STI right before HLT. A guest that is done should end the machine: ACPI power-off, isa-debug-exit, or a reset with
    `-no-reboot`.

    SDM vol. 2, HLT, STI.
    """
}
