/// `guest.panic`: the guest's kernel says itself that it cannot go on.
struct GuestPanic: SingleCause {
  static let id = "guest.panic"
  static let title = "The guest's kernel panicked"

  private let message: Evidence?

  /// - Parameter message: What a Linux kernel left in memory.
  init?(_ scene: Scene, message: Evidence?) {
    guard scene.ending == .panicked else { return nil }
    self.message = message
  }

  var summary: String {
    let reason = message.map { "\($0.text)" } ?? "What it panicked of is in its own log, on the console."
    return "The guest told QEMU through the pvpanic device that its kernel panicked. \(reason)"
  }

  var remedies: [Remedy] {
    [
      .guest(
        "mend what its message says",
        "The kernel found the fault itself: the processor and the host did what they were to do.")
    ]
  }

  static let manual = """
    The guest's kernel panicked and said so through QEMU's pvpanic device: no exception was lost, no fault of the processor or the host. The
    message of the panic is on the guest's console, and in its log in memory, where Inquest looks for Linux's.

    A guest without the device (`-device pvpanic`, or `pvpanic-pci`, and the driver in the kernel) halts or resets instead; `inquest run` then
    shows the message as something also seen.

    ## The cure

    That of the message: a root file system that is not there (`root=`, an initramfs), an init that ended, a driver's BUG().

    QEMU docs/specs/pvpanic.txt.
    """
}
