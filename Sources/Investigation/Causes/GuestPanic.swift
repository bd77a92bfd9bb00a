import QEMU
import X86

/// `guest.panic`: the guest's kernel says itself that it cannot go on.
struct GuestPanic: SingleCause {
  static let id = "guest.panic"
  static let title = "The guest's kernel panicked"

  private let message: Evidence?
  private let information: GuestPanicInformation?

  /// Whether the guest told QEMU.
  private let isReported: Bool

  /// - Parameter message: What a Linux kernel left in memory.
  init?(_ scene: Scene, message: Evidence?) {
    guard scene.ending == .panicked else { return nil }
    self.message = message
    information = scene.panicInformation?.value
    isReported = true
  }

  /// A panic of which only the message in memory tells.
  init(message: Evidence) {
    self.message = message
    information = nil
    isReported = false
  }

  /// The message lies in the image of the kernel that ran, and nothing but panic() prints it.
  var confidence: Confidence { isReported ? .proven : .likely }

  var summary: String {
    if !isReported, let message {
      return "\(message.text). Linux does not return from a panic: it waits for ever, or resets the machine (panic=)."
    }
    let reason = message.map { "\($0.text)" } ?? "What it panicked of is in its own log, on the console."
    guard case .hyperV(let parameters)? = information else {
      return "The guest told QEMU through the pvpanic device that its kernel panicked. \(reason)"
    }
    let words = parameters.enumerated().map { "P\($0) \($1.hexadecimal)" }.joined(separator: ", ")
    return
      "The guest reported a crash through Hyper-V's crash registers (HV_X64_MSR_CRASH_P0 to P4): \(words). Windows puts the code of "
      + "its bug check, a blue screen, into P0."
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

    A guest without the device (`-device pvpanic`, or `pvpanic-pci`, and the driver in the kernel) halts or resets instead. Where a Linux kernel
    did, and its message is in the memory of its own image, that is the cause, too.

    ## The cure

    That of the message: a root file system that is not there (`root=`, an initramfs), an init that ended, a driver's BUG().

    A guest with Hyper-V's interface (`-cpu …,hv-crash`) reports through its crash registers instead, with five numbers, which the verdict shows.

    QEMU docs/specs/pvpanic.txt, docs/system/i386/hyperv.rst.
    """
}
