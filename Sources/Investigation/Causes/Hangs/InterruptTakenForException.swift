import KVM
import QEMU
import X86

/// `interrupt.pic-not-remapped`: the handler of an exception got a device's interrupt, and the guest came to its end in it.
struct InterruptTakenForException: CauseOfHang {
  private let line: UInt8
  private let vector: UInt8
  /// What became of the guest.
  private let end: any CauseOfHang
  private let delivery: Evidence?
  private let looks: Int

  /// A guest that gets nowhere with interrupts on may be looked at while a handler runs that ends its interrupt; one that stands still, at any time.
  private static let looksThatCount = 3

  var id: String { PICNotRemapped.id }
  var title: String { PICNotRemapped.title }

  /// An interrupt that an 8259 delivered on a vector of the processor's own was in service at the last looks at the guest: in protected mode, where
  /// the handlers of exceptions send no end of interrupt.
  init?(_ hang: Hang) {
    let standsStill: (any CauseOfHang)? = HaltedForGood(hang) ?? SelfLoop(hang)
    guard let end = standsStill ?? EndlessFault(hang) ?? UnendedInterrupt(hang) else { return nil }
    looks = standsStill == nil ? Self.looksThatCount : 1
    let moments = hang.scene.watched.suffix(looks)
    guard moments.count == looks, let first = moments.first?.lineOnExceptionVector,
      moments.allSatisfy({ $0.lineOnExceptionVector.map { $0 == first } == true && $0.isInProtectedMode })
    else { return nil }
    // Without a way to the handler the interrupt came in another mode, in which the vector is no exception's.
    let vector = ExceptionVector(rawValue: first.vector)
    let isTaken = hang.started.contains { started in
      if case .clear = HandlerPath(of: vector, at: hang.scene.instant(of: started.processor)) { true } else { false }
    }
    guard isTaken else { return nil }
    (line, self.vector, self.end) = (first.line, first.vector, end)
    delivery = hang.scene.delivery(of: first.vector)
  }

  var summary: String {
    "The 8259 delivered IRQ \(line) on vector \(vector), for it still has the vectors that firmware gave it for real mode, and nobody ended that "
      + "interrupt. To protected mode the vector is that of \(ExceptionVector(rawValue: vector).name): the handler of that exception got an interrupt. What "
      + "came of it: \(end.title.prefix(1).lowercased() + end.title.dropFirst())."
  }

  var remedies: [Remedy] { [PICNotRemapped.remedy] }

  var evidence: [Evidence] {
    [
      Evidence(
        "At the last \(looks == 1 ? "look" : "\(looks) looks"): IRQ \(line) in service, on vector \(vector)",
        .registers("monitor: info pic"))
    ] + [delivery].compactMap(\.self) + end.evidence
  }
}

extension WatchedMoment {
  /// The line that an 8259 has in service on one of the vectors that belong to the processor (SDM vol. 3, 6.2).
  fileprivate var lineOnExceptionVector: (line: UInt8, vector: UInt8)? {
    for controller in interruptControllers {
      guard let line = controller.lineInService else { continue }
      let vector = controller.firstVector &+ line
      if vector < 32 { return (controller.isSecond ? line + 8 : line, vector) }
    }
    return nil
  }

  fileprivate var isInProtectedMode: Bool {
    processors.allSatisfy { processor in
      switch processor.state.mode {
      case .protected, .compatibility, .long64: true
      default: processor.waitsForStart
      }
    }
  }
}

extension Scene {
  /// Where the trace shows that KVM delivered a device's interrupt.
  fileprivate func delivery(of vector: UInt8) -> Evidence? {
    let record = traceSinceLoss.last { record in
      if case .injectInterrupt(vector, isSoft: false, _) = record.event { true } else { false }
    }
    return record.map {
      Evidence("KVM injected interrupt \(vector.hexadecimal)", .trace(event: "kvm_inj_virq", time: $0.time))
    }
  }
}
