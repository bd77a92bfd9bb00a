import QEMU
import X86

/// `interrupt.reentered`: an interrupt comes again before its handler has returned, until the stack is used up.
struct ReenteredInterrupt: CauseOfLoggedFault, SingleCause {
  static let id = "interrupt.reentered"
  static let title = "An interrupt comes again and again into its own handler"
  static let refines = [HandlerObstacle.stackNotWritable.rawValue]

  private let vector: UInt8
  private let count: Int
  private let step: UInt64?
  private let fault: LoggedFault

  /// Fewer may be a busy device.
  private static let fewest = 16

  /// A run of interrupts of one vector before the fault, none of which the log shows to have returned: the stack pointer falls each time.
  init?(_ fault: LoggedFault, in scene: Scene) {
    guard fault.isTripleFault, [.pageFault, .doubleFault, .stackFault].contains(fault.vector) else { return nil }
    let run = scene.lastInterrupts
    guard let vector = run.first?.vector, run.count >= Self.fewest else { return nil }
    let pointers = run.compactMap(\.stackPointer)
    let differences = zip(pointers, pointers.dropFirst()).map { $0 &- $1 }
    // Newest first: each entry has a lower stack pointer than the one before it. Where the log shows no stack pointers, the number alone
    // speaks.
    guard pointers.count < 4 || differences.allSatisfy({ Int64(bitPattern: $0) < 0 }) else { return nil }
    self.vector = vector
    self.fault = fault
    count = run.count
    step = pointers.count >= 4 && Set(differences).count == 1 ? 0 &- differences[0] : nil
  }

  private var line: String? {
    for (base, name) in [(0x20, "the usual base 20"), (0x50, "the base 50"), (0x08, "firmware's base 8")]
    where (base..<base + 8).contains(Int(vector)) {
      return "IRQ \(Int(vector) - base) with \(name)"
    }
    for (base, name) in [(0x28, "the usual base 28"), (0x58, "the base 58"), (0x70, "firmware's base 70")]
    where (base..<base + 8).contains(Int(vector)) {
      return "IRQ \(Int(vector) - base + 8) with \(name)"
    }
    return nil
  }

  var summary: String {
    let irq = line.map { " (\($0) of the interrupt controller)" } ?? ""
    let how = step.map { ", each with a stack pointer \($0) bytes lower than the one before" } ?? ""
    return
      "\(count) interrupts of vector \(vector.hexadecimal)\(irq) came one after another\(how), until the stack was used up and the push of the next frame failed: \(fault.vector.name), then a triple fault. The interrupt came again as soon as "
      + "its handler let it: a level-triggered line that nobody acknowledges at the device."
  }

  var confidence: Confidence { step != nil ? .likely : .possible }

  var remedies: [Remedy] {
    [
      .guest(
        "acknowledge the interrupt at the device before EOI and IRET, or mask its line",
        "A level-triggered line stays raised until the device lets go of it."),
      Remedy(
        kind: .commandLine, change: "leave out the device, or give it another interrupt line",
        reason:
          "A line that the guest's system has another use for, the ACPI SCI for one, has no handler that knows the device.",
        available: nil),
    ]
  }

  static let manual = """
    A handler returned, or allowed interrupts, and the same interrupt came at once again, on top of the last one's frame. Each time a frame more
    lies on the stack; when it is full, the push of the next fails, and with no other stack for #DF that is a triple fault.

    ## How to recognise it

    `Servicing hardware INT=0x…` many times with the same vector, SP lower by the same amount each time, and CR2 right below the page of the last
    SP. The page fault is only the end; the storm is the cause.

    ## Why

    A level-triggered line whose device nobody asked or acknowledged: a shared line, a handler for another device, a device that the guest's
    system does not expect on that line. Or STI in the handler before the device was served.

    ## The cure

    Serve the device, then EOI. Handlers of shared lines ask each device.

    SDM vol. 3, 10.8.5; Intel 8259A, "End of Interrupt".
    """
}

extension Scene {
  /// The device's interrupts of one vector that came last, newest first, with the stack pointers where the log shows them; other
  /// exceptions end the run, but for those of the chain at the end.
  fileprivate var lastInterrupts: [(vector: UInt8, stackPointer: UInt64?)] {
    guard let last = log.lastIndex(where: \.value.isHardwareInterrupt),
      case .hardwareInterrupt(let vector, _) = log[last].value
    else { return [] }
    var run: [(UInt8, UInt64?)] = []
    var pointer: UInt64?
    for entry in log[...(log.indices.last { log[$0].value.isDelivery(of: vector) } ?? last)].reversed() {
      switch entry.value {
      case .hardwareInterrupt(vector, _):
        run.append((vector, pointer))
        pointer = nil
      case .hardwareInterrupt: return run
      case .interrupt(let interrupt) where interrupt.vector.rawValue == vector: pointer = interrupt.stackPointer
      case .interrupt: return run
      default: continue
      }
    }
    return run
  }
}

extension QEMUMessage {
  fileprivate var isHardwareInterrupt: Bool { if case .hardwareInterrupt = self { true } else { false } }

  fileprivate func isDelivery(of vector: UInt8) -> Bool {
    switch self {
    case .interrupt(let interrupt): interrupt.vector.rawValue == vector
    case .hardwareInterrupt(vector, _): true
    default: false
    }
  }
}
