import KVM
import QEMU
import X86

/// What KVM or QEMU gave up on, beyond exceptions of the guest: an entry that failed, an internal error, a refusal.
struct ReportedFailure {
  var scene: Scene
  /// The vCPU whose registers were dumped.
  var processor: ObservedProcessor?
  /// Its next instruction.
  var next: NextInstruction?

  var state: ProcessorState? { processor?.state }

  /// The failed VM entry, if that is what was reported.
  var entry: EntryFailureObservations? {
    scene.failedEntry.map {
      EntryFailureObservations(hardwareError: $0.value, $0.source, in: scene, processor: processor)
    }
  }

  /// The last internal error of this suberror, with its words in order.
  func internalError(_ suberror: InternalError.Suberror) -> Sourced<[Int: UInt64]>? {
    for entry in scene.log.reversed() {
      guard case .kvmInternalError(let error) = entry.value else { continue }
      return error.suberror == Int(suberror.rawValue) ? Sourced(error.extraData, entry.source) : nil
    }
    return nil
  }

  /// The bytes that KVM says it could not emulate; nil where it names none.
  var instructionBytes: [UInt8]? {
    guard let error = internalError(.emulation) else { return nil }
    let words = (0..<16).prefix { error.value[$0] != nil }.compactMap { error.value[$0] }
    return InternalError(rawSuberror: InternalError.Suberror.emulation.rawValue, data: words).instructionBytes
  }
}

/// An event whose delivery an exit cut short: suberror 3.
struct InterruptedDelivery {
  var event: EventInformation
  var exit: VMExit
  /// The words of the error by their number.
  var data: [Int: UInt64]
  var source: Source

  /// `interrupt 0x2f`.
  var eventName: String { event.name ?? "an event" }

  var evidence: [Evidence] { [Evidence("Suberror 3: \(eventName) and \(exit.words)", source)] }
}

extension ReportedFailure {
  var interruptedDelivery: InterruptedDelivery? {
    guard let error = internalError(.deliveryEvent), let vectoring = error.value[0], let reason = error.value[1] else {
      return nil
    }
    return InterruptedDelivery(
      event: EventInformation(rawValue: UInt32(truncatingIfNeeded: vectoring)),
      exit: VMExit(reason: UInt32(truncatingIfNeeded: reason)), data: error.value, source: error.source)
  }
}

/// A cause that no exception of the guest tells: why KVM or QEMU gave up.
protocol CauseOfFailure: JudgedCause {
  /// Nil where the failure has another cause.
  init?(_ failure: ReportedFailure)
}

extension ReportedFailure {
  /// A special case stands before the general one.
  static var causes: [any CauseOfFailure.Type] {
    [
      MSRRefused.self, KVMNotUsable.self, HostMemoryError.self, HalfRestoredState.self, EntryInstructionFailed.self,
      EntryToSMM.self,
      InvalidGuestState.self, InvalidVMCB.self, ContradictoryExit.self, DeliveryToDevice.self, SystemCallUnderPVM.self,
      ReturnFromSMM.self,
      RegistersRefused.self, RefusedFetch.self, MultibootAddresses.self, NoTaskUnderTCG.self,
      TranslationOutsideMemory.self,
    ]
  }

  var cause: (any CauseOfFailure)? {
    for cause in Self.causes {
      if let found = cause.init(self) { return found }
    }
    return nil
  }
}

extension Scene {
  /// The last register dump in the log, whole or not.
  var lastDump: RegisterDump? {
    for entry in log.reversed() {
      if case .registerDump(let dump) = entry.value { return dump }
    }
    return nil
  }
}
