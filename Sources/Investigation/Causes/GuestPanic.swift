import QEMU
import X86

/// `guest.panic`: the guest's kernel says itself that it cannot go on.
struct GuestPanic: SingleCause {
  static let id = "guest.panic"
  static let title = "The guest's kernel panicked"

  private let message: Evidence?
  /// What the kernel said of an error before.
  private let error: Evidence?
  private let information: GuestPanicInformation?

  /// Whether the guest told QEMU.
  private let isReported: Bool

  /// - Parameter message: What a Linux kernel left in memory.
  init?(_ scene: Scene, message: Evidence?, error: Evidence?) {
    guard scene.ending == .panicked else { return nil }
    self.error = error
    self.message = message
    information = scene.panicInformation?.value
    isReported = true
  }

  /// A panic of which only the message in memory tells.
  init(message: Evidence, error: Evidence?) {
    self.error = error
    self.message = message
    information = nil
    isReported = false
  }

  /// The message lies in the image of the kernel that ran, and nothing but panic() prints it.
  var confidence: Confidence { isReported ? .proven : .likely }

  var summary: String {
    if !isReported, let message {
      return
        "\(message.text).\(endOfInit.map { " \($0.words)" } ?? "")\(errorWords) Linux does not return from a panic: it waits for ever, or resets the machine (panic=)."
    }
    let reason =
      message.map { message in "\(message.text)\(endOfInit.map { ". \($0.words)" } ?? ".")\(errorWords)" }
      ?? "What it panicked of is in its own log, on the console."
    guard case .hyperV(let parameters)? = information else {
      return "The guest told QEMU through the pvpanic device that its kernel panicked. \(reason)"
    }
    let words = parameters.enumerated().map { "P\($0) \($1.hexadecimal)" }.joined(separator: ", ")
    return
      "The guest reported a crash through Hyper-V's crash registers (HV_X64_MSR_CRASH_P0 to P4): \(words). Windows puts the code of "
      + "its bug check, a blue screen, into P0."
  }

  private var errorWords: String { error.map { " \($0.text)." } ?? "" }
  private var endOfInit: EndOfInit? { message.flatMap { EndOfInit($0.text) } }

  var remedies: [Remedy] {
    let processor = Remedy(
      kind: .commandLine, change: "-cpu with what init was built for; whether it is that, a run with -cpu max shows",
      reason: "A program for x86-64-v2 or v3 raises #UD on models without those features, such as qemu64.",
      available: nil)
    return (endOfInit?.isIllegalInstruction == true ? [processor] : []) + Self.remedies
  }

  static let remedies: [Remedy] = [
    .guest(
      "mend what its message says",
      "The kernel found the fault itself: the processor and the host did what they were to do.")
  ]

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

/// How the first program of a Linux ended, without which the kernel cannot go on.
///
/// `Attempted to kill init! exitcode=0x%08x`, with a status as wait() gives it: the signal in bits 0 to 6, else the program's own in bits 8 to 15
/// (kernel/exit.c: do_exit, 3.5 to 6.19; wait(2)).
private struct EndOfInit {
  private let status: UInt32

  /// Nil where the kernel panicked of something else.
  init?(_ text: String) {
    let prefix = "Attempted to kill init! exitcode=0x"
    guard let start = text.firstRange(of: prefix)?.upperBound,
      let status = UInt32(text[start...].prefix { $0.isHexDigit }, radix: 16)
    else { return nil }
    self.status = status
  }

  private var signal: UInt32 { status & 0x7F }
  var isIllegalInstruction: Bool { signal == 4 }

  var words: String {
    if signal == 0 { return "The first program, init, had ended by itself, with status \(status >> 8 & 0xFF)." }
    let meaning =
      switch signal {
      case 4:
        " (SIGILL: it came to an instruction that the guest's processor does not have, or to one that is there to stop a program)"
      case 6: " (SIGABRT: it gave up on itself)"
      case 7: " (SIGBUS)"
      case 8: " (SIGFPE: a division by zero, or another fault of arithmetic)"
      case 11: " (SIGSEGV: a bad address)"
      default: ""
      }
    return "The first program, init, was ended by signal \(signal)\(meaning)."
  }
}
