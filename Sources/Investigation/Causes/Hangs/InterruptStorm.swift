import GuestImage
import KVM
import QEMU
import X86

/// `hang.interrupt-storm`: an interrupt comes again before the processor has executed one instruction of what it interrupts.
struct InterruptStorm: CauseOfHang, SingleCause {
  static let id = "hang.interrupt-storm"
  static let title = "An interrupt that never ends"
  let confidence = Confidence.likely
  let evidence: [Evidence]
  private let vector: UInt8
  private let pointer: UInt64

  /// How often the interrupt must have come in a row.
  private static let leastInterrupts = 64

  /// An interrupt of a device, and where it found the processor.
  private struct Event: Equatable {
    var vector: UInt8
    var pointer: UInt64
    /// Nil where they are not known.
    var registers: GeneralPurposeRegisters?
  }

  /// The line of the 8259 was asserted at every look: a timer's or another edge never is. Or the code that is interrupted cannot come back to where
  /// it is interrupted: then none of it was executed in between. Under an I/O APIC the guest gets on (``Scene/pinsNeverQuiet``).
  init?(_ hang: Hang) {
    let logged = Self.logged(hang.scene.log)
    let events = logged.isEmpty ? Self.traced(hang.scene.traceSinceLoss) : logged
    guard let last = events.last else { return nil }
    let count = events.reversed().prefix { $0.value == last.value }.count
    guard count >= Self.leastInterrupts,
      !hang.scene.pinsNeverQuiet.contains(where: { $0.vector == last.value.vector }),
      let reason = Self.assertion(of: last.value.vector, hang) ?? Self.standstill(at: last.value.pointer, hang.scene)
    else { return nil }
    (vector, pointer) = (last.value.vector, last.value.pointer)
    evidence = [
      Evidence(
        "Interrupt \(vector.hexadecimal) comes \(count) times in a row at \(pointer.hexadecimal)", last.source),
      reason,
    ]
  }

  private static func assertion(of vector: UInt8, _ hang: Hang) -> Evidence? {
    let looks = hang.scene.watched.map { Set($0.interruptControllers.flatMap(\.assertedVectors)) }
    guard looks.count >= WatchedMoment.leastLooks, looks.allSatisfy({ $0.contains(vector) }) else { return nil }
    return Evidence("Its line was asserted at each of \(looks.count) looks", .registers("monitor: info pic"))
  }

  private static func standstill(at pointer: UInt64, _ scene: Scene) -> Evidence? {
    let state = LoggedDelivery.all(in: scene.log).last { $0.pointer == pointer }?.state
    guard let state, scene.leadsAway(from: pointer, state) else { return nil }
    return Evidence(
      "The code from there on does not come back to that instruction: nothing of it is executed in between",
      .image("the guest's code"))
  }

  private static func logged(_ log: [Sourced<QEMUMessage>]) -> [Sourced<Event>] {
    LoggedDelivery.all(in: log).filter(\.isOfDevice).map { delivery in
      let event = Event(
        vector: delivery.interrupt.vector.rawValue, pointer: delivery.pointer, registers: delivery.registers)
      return Sourced(event, delivery.source)
    }
  }

  private static func traced(_ trace: ArraySlice<KVMRecord>) -> [Sourced<Event>] {
    var events: [Sourced<Event>] = []
    var pointer: UInt64?
    for record in trace {
      switch record.event {
      case .exit(let exit): pointer = exit.rip
      case .emulateInstruction(let emulation): pointer = emulation.rip
      case .injectInterrupt(let vector, isSoft: false, _):
        guard let pointer else { continue }
        events.append(
          Sourced(Event(vector: vector, pointer: pointer), .trace(event: "kvm_inj_virq", time: record.time)))
      default: continue
      }
    }
    return events
  }

  var summary: String {
    "Interrupt \(vector.hexadecimal) comes again as soon as its handler returns, always at \(pointer.hexadecimal): what it interrupts never "
      + "gets on. Its line is level-triggered and stays asserted, for nobody tells the device that it was served."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "have the handler do what makes the device take its request back: read its interrupt's cause, take its data, or mask it; then "
          + "send the end of interrupt", "The end of interrupt tells the interrupt controller, not the device.")
    ]
  }

  static let manual = """
    A level-triggered interrupt is asked for as long as its device asserts the line. Where the handler ends the interrupt at the controller
    alone, the next one follows before the processor executes another instruction of the interrupted code.

    ## How to recognise it

    The same vector again and again at the same RIP, in kvm_inj_virq or in a log of `-d int`; the request stays in the controller (`info pic`:
    irr, at a line of elcr). `inquest run --stall SECONDS` looks for both; it knows the 8259's lines, not yet those of an I/O APIC.

    ## Why

    The handler does not read what makes the device take its request back (a UART's IIR, a status register, a virtio ISR); it serves the wrong
    device of a shared line; the line is programmed as level-triggered or with the wrong polarity.

    ## The cure

    Serve the device before the end of interrupt.

    SDM vol. 3, 11.8.5; Intel 8259A.
    """
}

extension Scene {
  /// How many instructions are followed.
  private static let longestWay = 512

  /// Whether the code from an address on, as a listing or the image has it, never comes back there; false also where that is not known, as where it
  /// returns to a caller.
  fileprivate func leadsAway(from start: UInt64, _ state: ProcessorState) -> Bool {
    var seen: Set<UInt64> = []
    var open = [start]
    while let pointer = open.popLast() {
      guard pointer != start || seen.isEmpty else { return false }
      guard seen.insert(pointer).inserted else { continue }
      guard seen.count <= Self.longestWay, let instruction = instructionAsListed(at: pointer, state),
        let next = instruction.successors
      else { return false }
      open += next
    }
    return true
  }
}

extension Instruction {
  /// Where execution goes on; nil where the instruction does not tell.
  fileprivate var successors: [UInt64]? {
    let next = address &+ UInt64(length)
    switch mnemonic {
    case "call" where branchTarget != nil: return [next]
    case "call", "ret", "syscall", "sysret", "sysenter", "sysexit", "int": return nil
    case "jmp": return branchTarget.map { [$0] }
    default:
      guard !isFarBranch, !mnemonic.hasPrefix("iret") else { return nil }
      return [next] + (branchTarget.map { [$0] } ?? [])
    }
  }
}
