import GuestImage
import KVM
import QEMU
import X86

/// `hang.endless-fault`: the same instruction raises the same exception for ever.
struct EndlessFault: CauseOfHang, SingleCause {
  static let id = "hang.endless-fault"
  static let title = "The same fault again and again"

  /// How often it must have been seen to be called endless.
  private static let least = 64

  /// One exception: two are the same if nothing in them differs, for a guest that maps its pages on demand has page faults all the
  /// time, and a string instruction several at one RIP.
  private struct Event: Equatable {
    var vector: ExceptionVector
    var errorCode: UInt32?
    /// Nil where the trace does not show RIP.
    var instructionPointer: UInt64?
    /// Of a page fault.
    var address: UInt64?
    /// Nil where they are not known; a handler that emulates the instruction changes them.
    var registers: GeneralPurposeRegisters?

    var words: String { vector.name + (instructionPointer.map { " at \($0.hexadecimal)" } ?? "") }
  }

  private let fault: Event
  let evidence: [Evidence]

  /// It may have been about to end when it was stopped.
  let confidence = Confidence.likely

  init?(_ hang: Hang) {
    guard
      let (fault, evidence) = Self.recorded(hang.scene) ?? Self.seen(hang.scene) ?? Self.unavoidable(hang)
        ?? Self.recordedInRealMode(hang.scene)
    else { return nil }
    (self.fault, self.evidence) = (fault, [evidence])
  }

  /// A fault that the next instruction raises for certain, and whose handler only returns to it. The one processor that runs was at no look
  /// anywhere else.
  private static func unavoidable(_ hang: Hang) -> (Event, Evidence)? {
    guard hang.started.count == 1, let index = hang.started.first?.processor.index else { return nil }
    let watched = hang.scene.watched.compactMap { $0.processors.first { $0.index == index } }
    let looks = watched.isEmpty ? hang.started.map(\.processor) : watched
    var found: (event: Event, handler: ReturningHandler, processor: ObservedProcessor)?
    for processor in looks where found == nil {
      let instant = hang.scene.instant(of: processor)
      guard let exception = NextInstruction(at: instant).certainException,
        let handler = ReturningHandler(of: exception.vector, at: instant)
      else { continue }
      let event = Event(
        vector: exception.vector, errorCode: exception.errorCode,
        instructionPointer: processor.state.instructionAddress.rawValue, address: exception.access?.address.rawValue,
        registers: processor.state.generalPurpose)
      found = (event, handler, processor)
    }
    guard let (event, handler, processor) = found,
      looks.allSatisfy({ look in
        let pointer = look.state.instructionAddress
        return handler.contains(pointer)
          || pointer.rawValue == event.instructionPointer && look.state.generalPurpose == event.registers
      })
    else { return nil }
    let code = handler.code.map { "`\($0.text)`" }.joined(separator: ", ")
    return (
      event,
      Evidence(
        "The handler of \(event.vector.name) at \(handler.entry.rawValue.hexadecimal) is \(code)", processor.source)
    )
  }

  private static func recorded(_ scene: Scene) -> (Event, Evidence)? {
    let logged = logged(scene.log)
    let events = logged.isEmpty ? traced(scene.traceSinceLoss) : logged
    guard let last = events.last else { return nil }
    let count = events.reversed().prefix { $0.value == last.value }.count
    return count < least ? nil : (last.value, Evidence("\(last.value.words) \(count) times in a row", last.source))
  }

  /// How often a log must name one that has no line of its own, and so no place.
  private static let leastInRealMode = 1024

  /// Of real mode's exceptions TCG logs the vector alone. An emulator of what the processor lacks has one after another, too: of x87 by #NM.
  private static func recordedInRealMode(_ scene: Scene) -> (Event, Evidence)? {
    guard let (vector, count, source) = scene.repeatedCheck, count >= leastInRealMode, vector != .deviceNotAvailable
    else { return nil }
    return (Event(vector: vector), Evidence("\(vector.name) \(count) times in a row", source))
  }

  /// At how many looks a page fault must have been found raised and about to be raised again.
  private static let leastLooks = 3

  /// A page fault that the next instruction raises while CR2 already holds its address: it was raised before, and the handler has returned.
  /// At each look where the one processor was not in the handler everything is as it was.
  private static func seen(_ scene: Scene) -> (Event, Evidence)? {
    let looks = scene.watched.flatMap(\.processors)
    guard looks.count == scene.watched.count else { return nil }
    let faults = looks.compactMap { processor -> Sourced<Event>? in
      let instant = scene.instant(of: processor)
      guard let exception = NextInstruction(at: instant).certainException, let access = exception.access,
        access.address.rawValue == processor.state.cr2
      else { return nil }
      let event = Event(
        vector: .pageFault, errorCode: exception.errorCode, instructionPointer: processor.state.rip,
        address: processor.state.cr2, registers: processor.state.generalPurpose)
      return Sourced(event, processor.source)
    }
    guard let last = faults.last, faults.count >= leastLooks, faults.allSatisfy({ $0.value == last.value }),
      looks.allSatisfy({ $0.state.cr2 == last.value.address })
    else { return nil }
    let words =
      "\(last.value.words) is about to be raised, and CR2 already holds its address, at \(faults.count) of \(looks.count) looks, with the same "
      + "registers"
    return (last.value, Evidence(words, last.source))
  }

  /// The exceptions of a log of `-d int`: no interrupts of devices, and no INT n.
  private static func logged(_ log: [Sourced<QEMUMessage>]) -> [Sourced<Event>] {
    LoggedDelivery.all(in: log).compactMap { delivery in
      let interrupt = delivery.interrupt
      guard interrupt.vector.rawValue < 32, interrupt.isSoftware == false, !delivery.isOfDevice else { return nil }
      let event = Event(
        vector: interrupt.vector, errorCode: interrupt.errorCode, instructionPointer: delivery.pointer,
        address: interrupt.cr2, registers: delivery.registers)
      return Sourced(event, delivery.source)
    }
  }

  /// What KVM injected since the guest last did anything for QEMU to see. An exception of which nothing tells where it was raised
  /// is like no other.
  private static func traced(_ trace: ArraySlice<KVMRecord>) -> [Sourced<Event>] {
    var events: [Sourced<Event>] = []
    var pointer: UInt64?
    var walked: UInt64?
    var failed: UInt64?
    for record in trace {
      switch record.event {
      case .exit(let exit): pointer = exit.rip
      case .emulateInstruction(let emulation): pointer = emulation.rip
      case .pagetableWalk(let address, _): walked = address.rawValue
      case .walkerError: failed = walked
      // QEMU's thread was interrupted: the guest got nothing done.
      case .userspaceExit(let reason, let errno) where reason == .interrupted || (errno ?? 0) < 0: continue
      case .userspaceExit, .portIO, .mmio: events.removeAll()
      case .injectException(let vector, let code, _):
        let address = vector == .pageFault ? failed : nil
        guard vector == .pageFault ? address != nil : pointer != nil else {
          events.removeAll()
          continue
        }
        let event = Event(vector: vector, errorCode: code, instructionPointer: pointer, address: address)
        events.append(Sourced(event, .trace(event: "kvm_inj_exception", time: record.time)))
        failed = nil
      default: continue
      }
    }
    return events
  }

  var summary: String {
    "\(fault.words) is raised again and again: its handler returns to the instruction without having mended what is "
      + "wrong."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "let the handler mend the reason\(fault.vector == .pageFault ? " (map the page)" : ""), skip the instruction, or stop and report",
        "For a fault, the return address is the instruction that raised it.")
    ]
  }
}

extension EndlessFault {
  static let manual = """
    The same instruction raises the same exception for ever. Its handler returns to it, and nothing has changed.

    ## How to recognise it

    The trace, or the log of `-d int`, shows one vector at one RIP, dozens of times in a row. In the registers, CR2 already holds the address that
    the next instruction is about to fail at. Or the handler, as it lies in memory, does no more than return: a bare IRET, or one behind the end of
    an interrupt.

    ## Why

    A handler of #PF that does not map the page, or maps it in other tables than those in force, or does not flush the TLB after changing an
    entry that was present; a handler of #UD or #NM that does not skip or enable anything. One handler for all vectors that only returns, which
    does for interrupts and not for faults; firmware has such a one for real mode's exceptions.

    ## The cure

    Mend the reason, step over the instruction, or report and stop.

    SDM vol. 3, 6.5, 4.10.4.
    """
}
