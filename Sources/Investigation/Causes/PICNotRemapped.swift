import X86

/// `interrupt.pic-not-remapped`: a device's interrupt arrives on a vector of real mode, which protected mode has for exceptions.
struct PICNotRemapped: CauseOfDeath, SingleCause {
  static let id = "interrupt.pic-not-remapped"
  static let title = "The PIC still has real mode's vectors"

  /// Of lines 0 to 7, as firmware sets the first 8259 up.
  static let vectors: ClosedRange<UInt8> = 8...15

  private let vector: UInt8
  private let isRecorded: Bool
  private let obstacle: HandlerPath.Obstacle

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .undeliverable(let event, let obstacle) = fault.exception.reason else { return nil }
    switch event {
    case .hardware(vector: let vector?) where Self.vectors.contains(vector): (self.vector, isRecorded) = (vector, true)
    case .supposed(let vector): (self.vector, isRecorded) = (vector, false)
    default: return nil
    }
    self.obstacle = obstacle
  }

  var summary: String {
    let beginning =
      isRecorded
      ? "Hardware interrupt \(vector.hexadecimal) came"
      : "Interrupts are on, and the instruction at RIP can raise nothing: a hardware interrupt came. Where kernels have it, from 20H on, the timer "
        + "has a handler; on firmware's vector, \(vector), it has none"
    let name = ExceptionVector(rawValue: vector).name
    return
      "\(beginning). The PIC delivers its line \(vector - 8) there until it is set up anew; to protected mode it is the vector of \(name), and "
      + "\(obstacle.words)."
  }

  var isDecided: Bool { isRecorded }

  var remedies: [Remedy] { [Self.remedy] }

  static let remedy = Remedy.guest(
    "initialise both PICs (ICW1 to ICW4, ports 20H, 21H, A0H, A1H) with vectors from 20H and 28H on before STI, or mask all lines",
    "Vectors 0 to 31 belong to the processor.")

  static let manual = """
    The 8259 PIC delivers its lines 0 to 7 on vectors 8 to 15, as firmware sets it up for real mode. In protected and long mode those are
    exceptions: the timer's first tick looks like a double fault, without an error code.

    ## How to recognise it

    Death at the first moment with interrupts on, most often at HLT or in a loop. With `-d int`: `Servicing hardware INT=0x08`. Where the vector
    has a handler for #DF, that pops an error code that is not there, and its IRET fails (interrupt.error-code-not-popped); or it reports an
    exception that never was, and halts. Then `info pic` in QEMU's monitor shows `irq_base=08` and a bit of `isr`: nobody ended the interrupt.

    ## The cure

    ICW1 to ICW4 with other vectors before STI, or all lines masked (FFH to ports 21H and A1H) where the APIC is used.

    8259A data sheet; SDM vol. 3, 6.2 and table 6-1.
    """
}
