import KVM
import QEMU
import X86

/// `hang.interrupt-not-ended`: the local APIC delivers nothing more, for an interrupt in service is never ended.
struct UnendedInterrupt: CauseOfHang, SingleCause {
  static let id = "hang.interrupt-not-ended"
  static let title = "An interrupt that was never ended"
  /// One of a higher priority may yet come.
  let confidence = Confidence.likely
  private let vector: UInt8
  private let waiting: [UInt8]
  private let looks: Int
  private let door: Source

  /// Each processor that was started waits for an interrupt that one and the same vector in service keeps from it, or is halted with
  /// interrupts off.
  init?(_ hang: Hang) {
    let moments = hang.scene.watched
    guard moments.count >= WatchedMoment.leastLooks else { return nil }
    let started = hang.started.map(\.processor)
    let blocked = BlockedInterrupts.all(in: moments)
    guard let first = started.lazy.compactMap({ blocked[$0.index] }).first,
      started.allSatisfy({ processor in
        guard let reason = blocked[processor.index] else {
          return processor.state.isHalted == true && !processor.state.rflags.contains(.interruptEnable)
        }
        return hang.waits(processor) && !hang.scene.hasDelivered(above: reason.vector)
      })
    else { return nil }
    vector = first.vector
    waiting = first.waiting.sorted()
    looks = moments.count
    door = .registers("monitor: info lapic")
  }

  private var waitingWords: String { waiting.map(\.hexadecimal).joined(separator: ", ") }

  var summary: String {
    "The local APIC has interrupt \(vector.hexadecimal) in service, and nobody ends it: the EOI register was not written since. Interrupts of its "
      + "priority class and of lower ones are not delivered before that, and \(waitingWords) waits. Interrupts are on (RFLAGS.IF is 1), but none "
      + "of those can come."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "have the handler of vector \(vector.hexadecimal) write 0 to the local APIC's EOI register (offset B0H; MSR 80BH in x2APIC mode) before it "
          + "returns",
        "An end of interrupt at the 8259 does not reach the local APIC. Spurious interrupts and NMIs alone need none.")
    ]
  }

  var evidence: [Evidence] {
    [Evidence("At \(looks) looks of \(looks): ISR has \(vector.hexadecimal), IRR has \(waitingWords)", door)]
  }

  static let manual = """
    The local APIC keeps each interrupt that it delivered in service (ISR) until the guest writes to its EOI register. As long as it is there,
    nothing of the same or a lower priority class is delivered. A guest that waits for such an interrupt waits for ever, in HLT or in a loop,
    with interrupts on.

    ## How to recognise it

    `info lapic` in QEMU's monitor: ISR shows the vector, whenever one looks, and IRR those that wait.

    ## Why

    A handler that returns without EOI; one that sends the end of interrupt to the 8259 (port 20H) for an interrupt of the local APIC; a way out
    of a handler, such as a switch to another thread, that leaves it out; a handler that waits with interrupts on for a lower one.

    ## The cure

    Write 0 to offset B0H of the local APIC's registers before the handler returns, once for each interrupt.

    SDM vol. 3, 11.8.4, 11.8.5.
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

/// Interrupts that a processor's local APIC held back whenever it was looked at.
struct BlockedInterrupts {
  /// In service all the while.
  let vector: UInt8
  /// Those that waited all the while.
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
          let processor = moment.processors.first(where: { $0.index == apic.cpu }),
          processor.state.rflags.contains(.interruptEnable), !moment.mayInterrupt(apic.cpu, above: vector)
        else { return false }
        waiting.formIntersection(now.requests)
        return true
      }
      waiting = waiting.filter { $0 >= 16 && $0 >> 4 <= vector >> 4 }
      if isBlocked, !waiting.isEmpty { blocked[apic.cpu] = BlockedInterrupts(vector: vector, waiting: waiting) }
    }
    return blocked
  }
}

extension WatchedMoment {
  /// Whether something is set up to interrupt a processor in spite of a vector in service: an 8259, of which the local APIC's priorities
  /// know nothing (ExtINT), its timer, or a pin of an I/O APIC. True also where the 8259s are not known.
  fileprivate func mayInterrupt(_ cpu: Int, above vector: UInt8) -> Bool {
    let others =
      localAPICs.filter { $0.cpu == cpu }.compactMap(\.timerVector) + pins.filter { !$0.isMasked }.map(\.vector)
    return interruptControllers.isEmpty || interruptControllers.contains { $0.mask != 0xFF }
      || others.contains { $0 >> 4 > vector >> 4 }
  }
}
