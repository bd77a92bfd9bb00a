import KVM
import QEMU
import X86

/// `hang.interrupt-not-ended`: the local APIC, or the 8259, delivers nothing more, for an interrupt in service is never ended.
struct UnendedInterrupt: CauseOfHang, SingleCause {
  static let id = "hang.interrupt-not-ended"
  static let title = "An interrupt that was never ended"
  /// One of a higher priority may yet come.
  let confidence = Confidence.likely
  private let blocked: BlockedInterrupts
  private let looks: Int

  private var vector: UInt8 { blocked.vector }

  /// Each processor that was started waits for an interrupt that one and the same vector in service keeps from it, or is halted with
  /// interrupts off.
  init?(_ hang: Hang) {
    let moments = hang.scene.watched
    guard moments.count >= WatchedMoment.leastLooks else { return nil }
    let started = hang.started.map(\.processor)
    let held = BlockedInterrupts.all(in: moments)
    guard let first = started.lazy.compactMap({ held[$0.index] }).first,
      started.allSatisfy({ processor in
        guard let reason = held[processor.index] else {
          return processor.state.isHalted == true && !processor.state.rflags.contains(.interruptEnable)
        }
        return hang.waits(processor)
          && (reason.controller == .pic || !hang.scene.hasDelivered(above: reason.vector))
      })
    else { return nil }
    blocked = first
    looks = moments.count
  }

  private var waitingWords: String { blocked.waiting.sorted().map(\.hexadecimal).joined(separator: ", ") }

  /// Nothing where none waits: KVM's timer asks no more until its interrupt was ended (arch/x86/kvm/i8254.c: pit_do_work, 6.1).
  private var waitingClause: String { blocked.waiting.isEmpty ? "" : ", \(waitingWords) waits" }

  var summary: String {
    guard blocked.controller == .localAPIC else {
      return
        "The 8259 has interrupt \(vector.hexadecimal) in service (IRQ \(blocked.line ?? 0)), and nobody ends it: no end of interrupt was sent since. Neither "
        + "that interrupt nor one of a lower priority is delivered before that\(waitingClause), and no other is turned on. Interrupts are on "
        + "(RFLAGS.IF is 1), but none can come."
    }
    return
      "The local APIC has interrupt \(vector.hexadecimal) in service, and nobody ends it: the EOI register was not written since. Interrupts of its "
      + "priority class and of lower ones are not delivered before that, and \(waitingWords) waits. Interrupts are on (RFLAGS.IF is 1), but none "
      + "of those can come."
  }

  var remedies: [Remedy] {
    guard blocked.controller == .localAPIC else {
      return [
        .guest(
          "have the handler of vector \(vector.hexadecimal) send the end of interrupt before it returns: 20H to port 20H, and for IRQ 8 to 15 to port A0H, "
            + "too", "The processor's IRET does not tell the 8259 that an interrupt was served.")
      ]
    }
    return [
      .guest(
        "have the handler of vector \(vector.hexadecimal) write 0 to the local APIC's EOI register (offset B0H; MSR 80BH in x2APIC mode) before it "
          + "returns",
        "An end of interrupt at the 8259 does not reach the local APIC. Spurious interrupts and NMIs alone need none.")
    ]
  }

  var evidence: [Evidence] {
    [
      Evidence(
        "At \(looks) looks of \(looks): ISR has \(vector.hexadecimal), "
          + (blocked.waiting.isEmpty ? "and the processor is halted" : "IRR has \(waitingWords)"),
        .registers(blocked.controller == .localAPIC ? "monitor: info lapic" : "monitor: info pic"))
    ]
  }

  static let manual = """
    The local APIC keeps each interrupt that it delivered in service (ISR) until the guest writes to its EOI register. As long as it is there,
    nothing of the same or a lower priority class is delivered. A guest that waits for such an interrupt waits for ever, in HLT or in a loop,
    with interrupts on. So does the 8259 with its lines: IRQ 0 is the first, IRQ 8 to 15 come in the place of IRQ 2.

    ## How to recognise it

    `info lapic` in QEMU's monitor: ISR shows the vector, whenever one looks, and IRR those that wait. `info pic` shows the same of the 8259s:
    a bit in `isr`, and one at or above it in `irr` that is not in `imr`. The timer in KVM asks for nothing more before its interrupt was ended:
    then `irr` is empty, and the processor stays halted.

    ## Why

    A handler that returns without EOI: the timer ticks once, the keyboard gives one key; one that sends the end of interrupt to the 8259 (port 20H) for an interrupt of the local APIC; a way out
    of a handler, such as a switch to another thread, that leaves it out; a handler that waits with interrupts on for a lower one.

    ## The cure

    Write 0 to offset B0H of the local APIC's registers before the handler returns, once for each interrupt. Of the 8259: write 20H to port 20H,
    and for IRQ 8 to 15 to port A0H first.

    SDM vol. 3, 11.8.4, 11.8.5; Intel 8259A.
    """
}

extension Hang {
  /// Whether a processor was halted with the same registers at each look, or is in a loop that looks at RAM alone: only an interrupt, or
  /// somebody else's write, gets it out.
  fileprivate func waits(_ processor: ObservedProcessor) -> Bool {
    let looks = scene.watched.compactMap { $0.processors.first { $0.index == processor.index }?.state }
    if looks.allSatisfy({ $0.isHalted == true }) { return Set(looks).count == 1 }
    return ShortLoop(at: scene.instant(of: processor))?.accesses.isEmpty == true
  }
}

extension Scene {
  /// Whether the log or the trace shows an interrupt of a device of a higher class than a vector's: then the guest gets on by those.
  fileprivate func hasDelivered(above vector: UInt8) -> Bool {
    let isLogged = LoggedDelivery.all(in: log).contains {
      $0.isOfDevice && $0.interrupt.vector.rawValue >> 4 > vector >> 4
    }
    return isLogged
      || traceSinceLoss.contains { record in
        switch record.event {
        case .injectInterrupt(let injected, isSoft: false, _): injected >> 4 > vector >> 4
        default: false
        }
      }
  }
}

/// Interrupts that were held back from a processor whenever it was looked at.
struct BlockedInterrupts: Hashable {
  /// What holds them back.
  enum Controller {
    case localAPIC, pic
  }

  let controller: Controller
  /// In service all the while.
  let vector: UInt8
  /// Its line of the 8259.
  var line: UInt8?
  /// Those that waited all the while; only a processor that was halted may wait for an interrupt that nobody asks for.
  let waiting: Set<UInt8>

  /// By the number of the processor: those that had interrupts on at each look, and were kept from one by the same vector.
  static func all(in moments: [WatchedMoment]) -> [Int: BlockedInterrupts] {
    guard let first = moments.first else { return [:] }
    var blocked: [Int: BlockedInterrupts] = [:]
    for apic in first.localAPICs {
      guard let vector = apic.obstacle else { continue }
      var waiting = apic.requests
      let isBlocked = moments.allSatisfy { moment in
        guard let now = moment.localAPICs.first(where: { $0.cpu == apic.cpu }), now.obstacle == vector,
          moment.hasInterruptsOn(apic.cpu), !moment.mayInterrupt(apic.cpu, above: vector)
        else { return false }
        waiting.formIntersection(now.requests)
        return true
      }
      waiting = waiting.filter { $0 >= 16 && $0 >> 4 <= vector >> 4 }
      if isBlocked, !waiting.isEmpty {
        blocked[apic.cpu] = BlockedInterrupts(controller: .localAPIC, vector: vector, waiting: waiting)
      }
    }
    if blocked.isEmpty, let (cpu, interrupts) = ofPIC(in: moments) { blocked[cpu] = interrupts }
    return blocked
  }

  /// The same of the 8259s, which interrupt one processor: here the only one that was started.
  private static func ofPIC(in moments: [WatchedMoment]) -> (Int, BlockedInterrupts)? {
    let looks = moments.map { moment in
      let started = moment.processors.filter { !$0.waitsForStart }
      guard started.count == 1, let cpu = started.first?.index, moment.hasInterruptsOn(cpu),
        !moment.mayInterruptBesidesPIC(cpu)
      else { return nil as (cpu: Int, interrupts: BlockedInterrupts)? }
      return blockedByPIC(moment.interruptControllers).map { (cpu, $0) }
    }
    guard let first = looks.first ?? nil else { return nil }
    var waiting = first.interrupts.waiting
    for look in looks {
      guard let look, look.cpu == first.cpu, look.interrupts.vector == first.interrupts.vector else { return nil }
      waiting.formIntersection(look.interrupts.waiting)
    }
    let interrupts = first.interrupts
    guard !waiting.isEmpty || moments.allSatisfy({ $0.isHalted(first.cpu) }) else { return nil }
    return (
      first.cpu,
      BlockedInterrupts(controller: .pic, vector: interrupts.vector, line: interrupts.line, waiting: waiting)
    )
  }

  /// Nil where a line can still come, or nothing is in service. The second controller comes through line 2 of the first.
  private static func blockedByPIC(_ controllers: [PICState]) -> BlockedInterrupts? {
    guard controllers.count == 2, let first = controllers.first(where: { !$0.isSecond }),
      let second = controllers.first(where: \.isSecond)
    else { return nil }
    let open = first.openLines.filter { $0 != cascade }
    let isCascadeOpen = first.openLines.contains(cascade) && !second.openLines.isEmpty
    let holder =
      [first, second].first { !$0.waitingLines.isEmpty } ?? (first.lineInService == cascade ? second : first)
    guard open.isEmpty, !isCascadeOpen, let line = holder.lineInService else { return nil }
    return BlockedInterrupts(
      controller: .pic, vector: holder.firstVector &+ line, line: holder.isSecond ? line + 8 : line,
      waiting: Set(holder.waitingLines.map { holder.firstVector &+ $0 }))
  }

  /// The line of the first 8259 through which the second asks.
  private static let cascade: UInt8 = 2
}

extension WatchedMoment {
  fileprivate func isHalted(_ cpu: Int) -> Bool { processors.first { $0.index == cpu }?.state.isHalted == true }

  fileprivate func hasInterruptsOn(_ cpu: Int) -> Bool {
    processors.first { $0.index == cpu }?.state.rflags.contains(.interruptEnable) == true
  }

  /// Whether something but the 8259s is set up to interrupt a processor; true also where its local APIC is not known.
  fileprivate func mayInterruptBesidesPIC(_ cpu: Int) -> Bool {
    guard let apic = localAPICs.first(where: { $0.cpu == cpu }) else { return true }
    return apic.timerVector != nil || !apic.requests.isEmpty || pins.contains { !$0.isMasked }
  }

  /// Whether something is set up to interrupt a processor in spite of a vector in service: an 8259, of which the local APIC's priorities
  /// know nothing (ExtINT), its timer, or a pin of an I/O APIC. True also where the 8259s are not known.
  fileprivate func mayInterrupt(_ cpu: Int, above vector: UInt8) -> Bool {
    let others =
      localAPICs.filter { $0.cpu == cpu }.compactMap(\.timerVector) + pins.filter { !$0.isMasked }.map(\.vector)
    return interruptControllers.isEmpty || interruptControllers.contains { $0.mask != 0xFF }
      || others.contains { $0 >> 4 > vector >> 4 }
  }
}
