import GuestImage
import X86

/// `interrupt.…` (``HandlerObstacle``): an interrupt, or INT n, for which no handler can be reached.
struct UndeliverableInterrupt: CauseOfDeath {

  static let manuals = HandlerObstacle.allCases.map {
    ManualPage(id: $0.rawValue, title: $0.title, text: $0.manual, refines: $0.refines)
  }

  private let fault: FirstFault
  private let event: InterruptEvent
  private let obstacle: HandlerPath.Obstacle

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .undeliverable(let event, let obstacle) = fault.exception.reason else { return nil }
    self.fault = fault
    self.event = event
    self.obstacle = obstacle
  }

  var id: String { obstacle.kind.rawValue }
  var title: String { obstacle.kind.title }

  var summary: String {
    switch event {
    case .software(let vector):
      let purpose =
        fault.instruction?.mnemonic == "int3"
        ? " It is a breakpoint; compilers also put it where a program must not go on." : ""
      return "\(fault.instructionName) asks for vector \(vector.hexadecimal), and \(obstacle.words).\(purpose)"
    case .hardware(vector: ExceptionVector.nonMaskableInterrupt.rawValue?):
      return "A non-maskable interrupt (NMI, vector 2) came, and \(obstacle.words)."
    case .hardware(vector: let vector?):
      return "Hardware interrupt \(vector.hexadecimal) came, and \(obstacle.words)."
    case .hardware(vector: nil), .supposed:
      return
        "Interrupts are on (RFLAGS.IF), and the instruction at RIP can raise nothing: a hardware interrupt came, and \(obstacle.words)."
    }
  }

  var isDecided: Bool { event != .hardware(vector: nil) && obstacle.isDecided }

  var remedies: [Remedy] {
    var remedies = [
      Remedy.guest(obstacle.remedy, "An interrupt without a handler becomes a double fault, and that a triple fault.")
    ]
    if case .hardware(let vector) = event, vector != ExceptionVector.nonMaskableInterrupt.rawValue {
      remedies.append(
        .guest(
          "keep interrupts off (CLI) until the IDT has a gate for each interrupt that can come, and mask the others in the PIC or APIC",
          "The PIT's interrupt comes 18 times a second from the start."))
    }
    return remedies
  }
}
