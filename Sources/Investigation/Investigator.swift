import GuestImage
import KVM
import QEMU
import X86

/// Finds out why a guest died.
///
/// Two ways lead to the first fault: the trace's record of it, and the reenactment from registers and memory. Where both
/// are there they are held against each other.
public struct Investigator {
  /// As it is seen from the level of virtual machines at which the vCPU ran.
  private let scene: Scene
  private let level: GuestLevel
  /// What a nested guest's physical addresses are to its hypervisor.
  private var nestedMemory: NestedMemory? { scene.memory as? NestedMemory }
  private let deaths: [RecordedDeath]
  private let death: RecordedDeath?
  /// The vCPU that died, as far as it can be told from the others.
  private let processor: ObservedProcessor?
  /// Whether the registers are those of the death that the trace shows, as far as can be told; true without a trace.
  private let isSameDeath: Bool
  private let rules: PagingRules
  /// The first fault as KVM recorded it.
  private let recorded: FailedAccess?
  /// The next instruction as the registers and the memory have it.
  private let reenacted: NextInstruction?
  private let delivery: Delivery?
  private let conclusion: Conclusion

  /// The verdict on a guest. Where a trace holds several deaths, it is on the one that the registers belong to, else on
  /// the last.
  public static func verdict(on scene: Scene) -> Verdict {
    Investigator(scene).verdict()
  }

  private init(_ observed: Scene) {
    let whole = observed.withRegistersAtShutdown
    let deaths = RecordedDeath.deaths(in: whole.trace, holes: whole.traceHoles)
    self.deaths = deaths
    let death =
      deaths.last { death in whole.processors.contains { $0.state.rip == death.rip } } ?? deaths.last
    self.death = death
    let rip = death?.rip
    let processor = whole.processors.first { $0.state.rip == rip } ?? whole.processorThatCannotGoOn
    self.processor = processor
    let level = whole.level(of: death, processor)
    self.level = level
    let scene = whole.seen(from: level)
    self.scene = scene
    let isSameDeath = Self.isSameDeath(death, processor?.state)
    self.isSameDeath = isSameDeath
    rules = scene.rules(of: scene.walker, for: isSameDeath ? processor?.state : nil)
    // Without RIP to compare, only the registers of the run that was traced are known to go with the walk.
    let isSameRun = rip != nil || scene.ending != .unknown
    let root = isSameDeath && isSameRun ? processor?.state.cr3 : nil
    // What KVM walked for a nested guest may have been its hypervisor's tables.
    recorded = level.isFirst ? death?.firstFailedWalk.flatMap { FailedAccess($0, root: root) } : nil
    (reenacted, delivery) = processor.map(scene.reenact) ?? (nil, nil)
    conclusion =
      death.map(scene.conclusion) ?? scene.requestedReset(processor, reenacted, delivery) ?? scene.loggedConclusion
      ?? scene.concludedEnd(processor, reenacted: reenacted, delivery: delivery)
  }

  private func verdict() -> Verdict {
    var verdict = Verdict(outcome: conclusion.outcome, ending: conclusion.sentence)
    verdict.level = level.number
    if case .nested = level, conclusion.outcome == .died {
      verdict.ending = "\(conclusion.sentence.dropLast()), while it ran a guest of its own."
    }
    verdict.evidence = conclusion.evidence
    let linux = scene.linuxAccount ?? scene.linuxAccountInLog
    if conclusion.outcome != .died, let linux, let message = linux.panic {
      explain(message, linux, &verdict)
    } else if conclusion.outcome == .died {
      explain(&verdict, linux)
    } else if conclusion.outcome == .undetermined, let cause = LoggedPanic(scene) {
      verdict.take(cause)
    } else if let hang = Hang(scene), let cause = kernelNotLoaded(hang) ?? hang.cause {
      explain(cause, &verdict)
      if (cause as? any CauseOfHang)?.mayEndHandler == true { lookBehindHandler(hang, &verdict) }
    } else if conclusion.outcome == .undetermined, let fault = scene.suspectedFault {
      explain(fault, &verdict)
      if conclusion.isSilent, verdict.cause != nil {
        verdict.ending = "Nothing here shows how the guest ended; if it died of the last exception here, this is why."
      }
    } else if conclusion.outcome == .undetermined, let cause = notAsMeant ?? RunningAstray(scene) {
      verdict.take(cause)
      if conclusion.isSilent {
        verdict.ending = "Nothing here reports how the guest ended, but what keeps it from getting on can be told."
      }
    } else if conclusion.outcome == .undetermined, let cause = RefusedEmulation(scene) {
      verdict.take(cause)
    } else if conclusion.outcome == .undetermined, conclusion.isFailedEmulation, let processor, let reenacted,
      let cause = UnsupportedEmulation(reenacted, at: scene.instant(of: processor), in: scene)
    {
      verdict.take(cause)
    } else {
      verdict.warnings = LatentReservedBits(in: scene)?.warnings ?? []
    }
    if let linux, verdict.outcome != .ended, verdict.cause?.id != GuestPanic.id {
      verdict.observations += [linux.panic].compactMap(\.self) + linux.log
    }
    if conclusion.outcome != .ended {
      if verdict.fault == nil { verdict.observations += scene.textScreenObservations }
      verdict.observations += observations
      if isDeathSuspected, verdict.cause?.id != GuestPanic.id {
        verdict.missing += missing(isExplained: verdict.cause != nil)
      }
    }
    return verdict
  }

  /// Whether there is anything but a trace without a death.
  private var isDeathSuspected: Bool {
    conclusion.outcome == .died || scene.ending != .unknown || !scene.processors.isEmpty || !scene.log.isEmpty
  }
}

extension Scene {
  /// What a processor must do next, and what becomes of the exception that this certainly raises.
  func reenact(_ processor: ObservedProcessor) -> (NextInstruction, Delivery?) {
    let instant = instant(of: processor)
    let next = NextInstruction(at: instant, otherBytes: codeBytes(of: processor))
    guard processor.knowsTables else { return (next, nil) }
    return (next, next.certainException.map { Delivery(of: $0.vector, at: instant) })
  }

  /// The bytes at RIP as the dump itself shows them, else as the image has them.
  private func codeBytes(of processor: ObservedProcessor) -> [UInt8]? {
    if let code = code(of: processor)?.value.atInstructionPointer, !code.isEmpty { return code }
    guard let image, let place = image.place(of: processor.state.instructionAddress.rawValue) else { return nil }
    return image.bytes(atVirtual: place.virtual, count: 15)
  }

  /// The first processor whose next instruction leads to a triple fault, else the first of all.
  fileprivate var processorThatCannotGoOn: ObservedProcessor? {
    processors.first { reenact($0).1?.end == .tripleFault } ?? processors.first
  }
}

// MARK: The first fault

extension Investigator {
  /// The fault that the death began with: as it was recorded, else as it was worked out.
  private var firstFault: FirstFault? {
    guard let (exception, record) = recordedFault ?? reenactedFault.map({ ($0, nil) }) else { return nil }
    let chain = death == nil ? scene.loggedChain : nil
    return FirstFault(
      exception: exception, record: record, instruction: instruction,
      instant: isSameDeath ? processor.map(scene.instant) : nil,
      rules: rules, death: death, before: chain?.before, nesting: chain?.nesting)
  }

  /// What KVM or TCG recorded, with the rule that the reenactment finds for it.
  private var recordedFault: (RaisedException, Source?)? {
    if let recorded { return (deliveryFailed(by: recorded) ?? .pageFault(recorded), recorded.source) }
    guard isSameDeath else { return nil }
    if let interrupt = death?.lastInterrupt, let event = interrupt.event,
      let exception = undeliverable(event, recordedAs: interrupt)
    {
      return (exception, interrupt.source)
    }
    guard let recordedException else { return nil }
    if let event = recordedException.event {
      return undeliverable(event, recordedAs: recordedException).map { ($0, recordedException.source) }
    }
    if let access = loggedAccess { return (.pageFault(access), recordedException.source) }
    let exception =
      reenacted?.exceptions.first { $0.agrees(with: recordedException) } ?? refusedSelector(recordedException)
      ?? RaisedException(untold: recordedException, isMemoryKnown: scene.memory != nil)
    return exception.map { ($0, recordedException.source) }
  }

  /// A selector that the error code names, where the descriptor is not at hand.
  private func refusedSelector(_ recorded: RecordedException) -> RaisedException? {
    guard death == nil, let instant = processor.map(scene.instant) else { return nil }
    let last = scene.instructionListed(before: instant.state.instructionAddress, instant.state)
    return RaisedException(selectorOf: recorded, by: instruction, at: instant)
      ?? RaisedException(offsetOf: recorded, by: instruction, at: instant)
      ?? RaisedException(innerStackOf: recorded, by: instruction, at: instant)
      ?? RaisedException(returnOf: recorded, by: instruction, behind: last, at: instant)
  }

  /// The event whose delivery met a recorded access, where the instruction makes no such access itself: a device's interrupt, or what
  /// the instruction raises.
  private func deliveryFailed(by access: FailedAccess) -> RaisedException? {
    guard isSameDeath, access.access.kind != .fetch, !access.access.isUser, let processor, let reenacted,
      let instruction = reenacted.instruction, !instruction.loadsSelector,
      !instruction.mayAccess(access.address, in: processor.state)
    else { return nil }
    func meets(_ vector: ExceptionVector) -> Bool {
      Delivery(of: vector, at: scene.instant(of: processor)).faultingAddresses.contains(access.address)
    }
    if let interrupt = death?.lastInterrupt, let event = interrupt.event, meets(interrupt.vector) {
      return undeliverable(event, recordedAs: interrupt)
    }
    guard let certain = reenacted.certainException, certain.access == nil, meets(certain.vector) else { return nil }
    return certain
  }

  /// A page fault of which a log has the error code and the address, where the tables are not at hand.
  private var loggedAccess: FailedAccess? {
    guard let recordedException, let address = recordedException.address, let code = recordedException.errorCode,
      let state = processor?.state, scene.memory == nil
    else { return nil }
    let error = PageFaultErrorCode(rawValue: code)
    // A supervisor's access in user mode is the processor's own, to a descriptor table, the TSS or a new stack: no access of
    // the instruction, and the log does not tell which.
    guard error.contains(.user) || state.currentPrivilegeLevel != 3 else { return nil }
    // Without NXE and SMEP the error code does not tell a fetch.
    let isFetch = error.contains(.fetch) || address == state.instructionAddress
    var access = PageAccess(error)
    if isFetch { access.kind = .fetch }
    return FailedAccess(
      address: address, access: access, errorCode: error, format: .longMode, root: state.cr3, steps: [],
      source: recordedException.source)
  }

  /// The exception that the chain began with, whatever raised it.
  private var recordedException: RecordedException? {
    death?.firstException ?? (death == nil ? scene.loggedException : nil)
  }

  /// What the registers and the memory lead to. Where it hangs on something unknown, that the guest died there decides it,
  /// if nothing else can have been the reason.
  private var reenactedFault: RaisedException? {
    guard isSameDeath, recordedException == nil, let reenacted else { return nil }
    if let certain = reenacted.certainException {
      if certain.access != nil { return contradictsCR2 ? nil : certain }
      return conclusion.isTripleFault ? certain : nil
    }
    guard conclusion.recordsTripleFault || conclusion.isSupposedTripleFault, reenacted.doubt == nil, let processor
    else {
      return nil
    }
    if excludesInterrupts { return reenacted.exceptions.count == 1 ? reenacted.exceptions.first : nil }
    return InterruptByExclusion(of: processor, next: reenacted, in: scene)?.exception
  }

  /// What keeps a recorded interrupt, or INT n, from its handler.
  private func undeliverable(_ event: InterruptEvent, recordedAs interrupt: RecordedException) -> RaisedException? {
    undeliverable(event, interrupt.vector.rawValue)
      ?? interrupt.obstacle.map { RaisedException($0.exception, .undeliverable(event, $0)) }
  }

  /// What keeps an interrupt from its handler; nil if nothing is known to.
  private func undeliverable(_ event: InterruptEvent, _ vector: UInt8) -> RaisedException? {
    processor.flatMap { .undeliverable(event, vector, at: scene.instant(of: $0)) }
  }

  /// Whether nothing but the instruction itself can have raised an exception there.
  private var excludesInterrupts: Bool { processor?.state.rflags.contains(.interruptEnable) == false }

  /// The walk that the reenactment finds, to be held against a recorded one.
  private var comparableAccess: FailedAccess? {
    guard isSameDeath, !contradictsCR2 else { return nil }
    return reenacted?.certainException?.access
  }

  /// Whether CR2 shows that the triple fault did not begin with the page fault that the reenactment finds: TCG writes it
  /// at every page fault, and leaves the registers as they are at a triple fault.
  private var contradictsCR2: Bool {
    scene.walker == .tcg && conclusion.recordsTripleFault && !predictsCR2
  }

  private func explain(_ verdict: inout Verdict, _ linux: LinuxAccount?) {
    verdict.chain = death?.chain(isSameDeath ? processor?.state : nil) ?? []
    verdict.path = level.isFirst ? death?.path(release: scene.linux) ?? [] : []
    guard let fault = firstFault else {
      if let notAsMeant { return verdict.take(notAsMeant) }
      return showOther(&verdict, linux)
    }
    if verdict.chain.isEmpty { verdict.chain = reenactedChain(fault.exception) }
    verdict.fault = self.fault(fault.exception)
    verdict.evidence += fault.exception.access?.evidence ?? []
    if let record = fault.record, fault.exception.access == nil {
      verdict.evidence.append(Evidence("\(fault.exception.name) was the first exception", record))
    }
    compareAccounts(&verdict)
    if let notAsMeant { return verdict.take(notAsMeant) }
    verdict.observations += fault.walkObservations + [fault.strayObservation(in: scene)].compactMap(\.self)
    guard let cause = Causes.cause(of: fault, in: scene) else { return }
    verdict.walk = cause.walk.map(inBothDimensions)
    guard cause.isExplained else {
      verdict.observations.append(Evidence(cause.summary, fault.record ?? .reenactment))
      return
    }
    verdict.cause = Cause(
      id: cause.id, title: cause.title, summary: cause.summary,
      confidence: confidence(in: cause, of: fault))
    // Of a nested guest's processor its hypervisor decides, not QEMU's command line.
    verdict.remedies = level.isFirst ? cause.remedies : cause.remedies.filter { $0.kind == .guest }
    verdict.evidence += cause.evidence
    verdict.observations += cause.circumstances
  }

  /// What began before the first fault, which is only where it came out.
  private var notAsMeant: (any JudgedCause)? {
    guard isSameDeath, level.isFirst, let processor else { return nil }
    return LongModeTablesInPAE(processor, in: scene) ?? LinuxStart(scene)?.cause
      ?? CodeOfOtherMode(processor, in: scene)
  }

  /// Of a guest that was stopped while it ran; registers of a moment that nothing tells are no sign of a hang.
  private func kernelNotLoaded(_ hang: Hang) -> (any JudgedCause)? {
    hang.scene.ending == .unknown ? nil : LinuxStart(hang.scene)?.cause
  }

  /// A walk with what its hypervisor makes of a nested guest's physical addresses.
  private func inBothDimensions(_ walk: WalkAccount) -> WalkAccount {
    guard let nestedMemory else { return walk }
    var walk = walk
    for index in walk.levels.indices {
      walk.levels[index].hypervisorAddress = walk.levels[index].entryAddress.flatMap(nestedMemory.hypervisorAddress)
    }
    return walk
  }

  private func explain(_ cause: any JudgedCause, _ verdict: inout Verdict) {
    verdict.outcome = .hung
    verdict.ending = "The guest hangs: \(howItWasMet)cannot get anywhere."
    verdict.take(cause)
  }

  /// Where the guest hangs in a handler that does not return, what that was called for is the reason.
  private func lookBehindHandler(_ hang: Hang, _ verdict: inout Verdict) {
    guard let handled = HandledFault(hang), take(handled, &verdict) else {
      verdict.observations += [ExceptionFrame.observation(of: hang)].compactMap(\.self)
      return
    }
    verdict.ending = "The guest hangs: \(howItWasMet)is in the handler of a fault, which does not return."
    verdict.chain = handled.chain
  }

  /// False where no cause is known.
  private func take(_ handled: HandledFault, _ verdict: inout Verdict) -> Bool {
    var vector: ExceptionVector?
    var first: FirstFault?
    switch handled.finding {
    case .fault(let fault):
      guard let cause = Causes.cause(of: fault, in: scene), cause.isExplained else { return false }
      verdict.walk = cause.walk.map(inBothDimensions)
      verdict.cause = Cause(id: cause.id, title: cause.title, summary: cause.summary, confidence: .likely)
      verdict.remedies = level.isFirst ? cause.remedies : cause.remedies.filter { $0.kind == .guest }
      verdict.evidence += cause.evidence + (fault.exception.access?.evidence ?? [])
      verdict.observations += cause.circumstances
      (vector, first) = (fault.exception.vector, fault)
    case .vector(let logged):
      guard let cause = logged.cause(in: scene) else { return false }
      verdict.take(cause)
      vector = logged.vector
    case .outsideMemory(let cause):
      verdict.cause = Cause(id: cause.id, title: cause.title, summary: cause.summary, confidence: .likely)
      verdict.remedies = cause.remedies
    }
    guard let vector else { return true }
    var fault = Fault(
      vector: vector, errorCode: first?.exception.errorCode, address: first?.exception.access?.address,
      instructionPointer: handled.instructionAddress)
    if scene.processors.count > 1 { fault.processor = handled.processor.index }
    fillPlace(&fault)
    fault.instruction = handled.instruction?.text
    verdict.fault = fault
    return true
  }

  /// How a guest that still ran came to be judged, up to what else is said of it.
  private var howItWasMet: String {
    switch scene.ending {
    case .timedOut: "it had not ended when the time limit was reached, and "
    case .stalled: "it made no progress over \(scene.watched.count) looks at it, and "
    case .stopped: "it was stopped from outside, and "
    default: "it "
    }
  }

  /// A guest whose kernel panicked, and that then reset the machine or stayed.
  private func explain(_ message: Evidence, _ linux: LinuxAccount, _ verdict: inout Verdict) {
    let panic = GuestPanic(message: message, error: linux.error)
    if scene.ending == .reset {
      verdict.outcome = .died
      verdict.ending = "The guest's kernel panicked. \(conclusion.sentence)"
    } else if scene.processors.isEmpty {
      verdict.outcome = .died
      verdict.ending = "The guest's kernel panicked, by its own account."
    } else {
      verdict.outcome = .hung
      verdict.ending = "The guest's kernel panicked: \(howItWasMet)goes on with nothing that it was to do."
    }
    verdict.cause = Cause(id: panic.id, title: panic.title, summary: panic.summary, confidence: panic.confidence)
    verdict.remedies = panic.remedies
    verdict.evidence += [message] + linux.log
  }

  /// A death without a first fault: an instruction that cannot be fetched at all, or one that nothing explains.
  private func showOther(_ verdict: inout Verdict, _ linux: LinuxAccount?) {
    if let panic = GuestPanic(scene, message: linux?.panic, error: linux?.error) {
      verdict.cause = Cause(id: panic.id, title: panic.title, summary: panic.summary, confidence: .proven)
      verdict.remedies = panic.remedies
      verdict.evidence += linux?.log ?? []
      return
    }
    let failure = ReportedFailure(
      scene: scene, processor: isSameDeath ? processor : nil, next: isSameDeath ? reenacted : nil)
    if let cause = failure.cause {
      verdict.take(cause)
      return
    }
    guard isSameDeath, recordedException == nil, let processor, let reenacted else {
      showUnexplained(&verdict)
      if let fault = scene.loggedFault, fault.isTripleFault, death == nil { explain(fault, &verdict) }
      return
    }
    if let cause = FetchOutsideMemory(
      reenacted, at: processor.state, isFailedEmulation: conclusion.isFailedEmulation,
      named: scene.executionOutsideMemory)
    {
      verdict.cause = Cause(
        id: cause.id, title: cause.title, summary: cause.summary,
        confidence: conclusion.isTripleFault || cause.isAssumed ? .likely : .proven)
      verdict.remedies = cause.remedies
    } else if conclusion.isFailedEmulation,
      let cause = UnsupportedEmulation(reenacted, at: scene.instant(of: processor), in: scene)
    {
      verdict.take(cause)
    } else {
      showUnexplained(&verdict)
      if let fault = scene.loggedFault, fault.isTripleFault, fault.vector != .doubleFault, death == nil {
        explain(fault, &verdict)
      }
    }
  }

  /// What a log alone tells of an exception.
  private func explain(_ logged: LoggedFault, _ verdict: inout Verdict) {
    var fault = Fault(
      vector: logged.vector, errorCode: logged.vector.hasErrorCode ? logged.errorCode : nil,
      address: logged.address.map { LinearAddress($0) },
      instructionPointer: logged.programCounter.map { LinearAddress($0) })
    fillPlace(&fault)
    fault.instruction = logged.instruction?.text ?? fault.instruction
    if !logged.isInterrupt { verdict.fault = fault }
    guard let cause = logged.cause(in: scene) else { return }
    let first =
      logged.isInterrupt
      ? "An interrupt from a device, vector \(logged.vector.rawValue.hexadecimal), was the first event of the chain"
      : "\(logged.vector.name) was the first exception of the chain"
    verdict.evidence.append(Evidence(first, logged.source))
    verdict.take(cause)
  }

  /// What was recorded of a fault for which no rule was found.
  private func showUnexplained(_ verdict: inout Verdict) {
    guard let recordedException, recordedException.event == nil else { return }
    var fault = Fault(
      vector: recordedException.vector, errorCode: recordedException.errorCode, address: nil,
      instructionPointer: instructionAddress)
    fillPlace(&fault)
    verdict.fault = fault
  }

  /// A recorded refusal is proof as far as one rule alone can be its reason; a reenacted one needs a recorded fact that it
  /// predicts.
  private func confidence(in cause: any CauseOfDeath, of fault: FirstFault) -> Confidence {
    guard cause.isDecided else { return .likely }
    if fault.record != nil {
      let isDoubtful =
        contradictsRecord || death?.mayHaveBeenHandled == true && !predictsCR2
        || death.map(scene.mayHaveLostItsBeginning) == true
      return isDoubtful ? .likely : .proven
    }
    guard conclusion.recordsTripleFault, fault.exception.isCertain, delivery?.end == .tripleFault, !isOfSecondRun
    else { return .likely }
    let isPredicted = fault.exception.access == nil ? excludesInterrupts : predictsCR2
    return isPredicted ? .proven : .likely
  }

  /// Whether the reenactment found another first fault than the trace shows.
  private var contradictsRecord: Bool {
    guard let recorded, let comparableAccess else { return false }
    return !recorded.agrees(with: comparableAccess)
  }

  /// CR2 holds the address of the last page fault: the one in question, or one that its delivery met.
  private var predictsCR2: Bool {
    guard let access = reenacted?.certainException?.access, let cr2 = processor?.state.cr2 else { return false }
    return ([access.address] + (delivery?.faultingAddresses ?? [])).contains { $0.rawValue == cr2 }
  }

  /// Whether the registers are those of a second run.
  private var isOfSecondRun: Bool { processor.map(scene.processorsOfSecondRun.contains) ?? false }

  /// What speaks for registers of a second run.
  private var secondRun: [Evidence] {
    guard isOfSecondRun, let processor else { return [] }
    let end =
      scene.secondRunWentOn
      ? "which went on: TCG lets pass what the first run's processor refuses. At this instruction its"
      : "which ended in a triple fault too. Its"
    let instruction =
      scene.secondRunWentOn
      ? "the first run's processor fails at it, with either memory"
      : "the same instruction fails in the same way in both"
    return [
      Evidence(
        "KVM has cleared the registers. These are of a second run under TCG, \(end) GDT and IDT are, byte for byte, what the first run left in "
          + "memory; \(instruction), and nothing shows that one got further than the other", processor.source)
    ]
  }

  private func reenactedChain(_ exception: RaisedException) -> [Evidence] {
    if case .undeliverable(let event, _) = exception.reason, let vector = event.hardwareVector {
      guard let vector else {
        return [Evidence("A hardware interrupt comes, on a vector that nothing shows", .reenactment)]
      }
      let delivery = processor.map { Delivery(of: ExceptionVector(rawValue: vector), at: scene.instant(of: $0)) }
      return [Evidence("A hardware interrupt \(vector.hexadecimal) comes", .reenactment)] + (delivery?.steps ?? [])
    }
    let words =
      exception.access.map { "The \($0.access.words) at \($0.address.rawValue.hexadecimal) fails" }
      ?? "The instruction at \(instructionAddress?.rawValue.hexadecimal ?? "RIP") fails"
    return [Evidence("\(words): \(exception.name)", .reenactment)] + (delivery?.steps ?? [])
  }

  private func fault(_ exception: RaisedException) -> Fault {
    var fault = Fault(
      vector: exception.vector, errorCode: exception.errorCode, address: exception.access?.address,
      instructionPointer: instructionAddress)
    if scene.processors.count > 1, isSameDeath { fault.processor = processor?.index }
    fillPlace(&fault)
    return fault
  }

  /// The instruction, and where in the guest's image it is.
  private func fillPlace(_ fault: inout Fault) {
    guard let pointer = fault.instructionPointer else { return }
    fault.instruction = instruction?.text
    if let place = scene.image?.place(of: pointer.rawValue) {
      fault.symbol = scene.image?.symbol(containing: place.virtual)?.description
      fault.source = scene.image?.sourceLines(at: place.virtual)
    }
  }

  private var instructionAddress: LinearAddress? {
    isSameDeath ? processor?.state.instructionAddress : death?.instructionAddress
  }

  private var instruction: Instruction? { isSameDeath ? reenacted?.instruction : nil }
}

// MARK: Agreement

extension Investigator {
  /// RIP tells; where the trace does not show it, registers that were reset are still known to be of a later moment.
  private static func isSameDeath(_ death: RecordedDeath?, _ state: ProcessorState?) -> Bool {
    guard let state else { return false }
    guard let death else { return true }
    return death.rip.map { $0 == state.rip } ?? !ResetObservations.isReset(state)
  }

  private func compareAccounts(_ verdict: inout Verdict) {
    if let processor, let rip = death?.rip { compare(rip, with: processor, in: &verdict) }
    guard recorded != nil, let comparableAccess else { return }
    let text =
      contradictsRecord
      ? "The reenactment finds another first fault than the trace: \(comparableAccess.errorCode.words) at "
        + comparableAccess.address.rawValue.hexadecimal
      : "The reenactment from registers and memory finds the same walk, entry by entry"
    verdict.evidence.append(Evidence(text, .reenactment))
  }

  private func compare(_ rip: UInt64, with processor: ObservedProcessor, in verdict: inout Verdict) {
    if isSameDeath {
      verdict.evidence.append(
        Evidence("The trace and the registers agree: RIP is \(rip.hexadecimal) in both", processor.source))
    } else if !ResetObservations.isReset(processor.state) {
      verdict.observations.append(
        Evidence(
          "The trace and the registers disagree: RIP is \(rip.hexadecimal) in the trace and "
            + "\(processor.state.rip.hexadecimal) in the registers, so they are not of the same death", processor.source
        ))
    }
  }
}

// MARK: What else there is

extension Investigator {
  private var observations: [Evidence] {
    secondRun + [level.observation].compactMap(\.self) + scene.lossObservations(death) + reflectedExits
      + scene.reportObservations(of: processor)
      + scene.processorObservations(first: isSameDeath ? processor : nil)
      + (RegistersBeforeReset(scene, death)?.evidence ?? []) + scene.processorListingObservations
      + scene.featureDisagreements + staleBytes + otherDeaths
  }

  /// The nested guest's last exit that KVM handed to the guest, its hypervisor, with the walk of the hypervisor's nested tables
  /// that failed before.
  private var reflectedExits: [Evidence] {
    guard level.isFirst, let death else { return [] }
    let records = scene.trace.filter { $0.threadID == death.threadID }
    guard
      let place = records.lastIndex(where: { if case .nestedExitReflected = $0.event { true } else { false } }),
      case .nestedExitReflected(let exit) = records[place].event
    else { return [] }
    var text =
      "The guest had a guest of its own, which was left before: KVM handed its exit \(exit.reasonName) to the guest"
    if let walk = RecordedWalk.walks(in: records[..<place]).last, let error = walk.error {
      let last = walk.elements.last.map { ", at the level \($0.level) entry \($0.entry.hexadecimal)" } ?? ""
      text +=
        "; the walk of its physical address \(walk.address.rawValue.hexadecimal) through the guest's nested tables "
        + "failed (\(error.words))\(last)"
    }
    return [Evidence(text, .trace(event: "kvm_nested_vmexit_inject", time: records[place].time))]
  }

  /// The deaths of other threads; a thread that dies again and again is a guest that reboots.
  private var otherDeaths: [Evidence] {
    guard let death else { return [] }
    var seen: Set<Int32?> = [death.threadID]
    let others = deaths.reversed().filter { seen.insert($0.threadID).inserted }
    let named = others.prefix(Self.mostOtherDeaths).map { other in
      Evidence(
        "Another vCPU died in this trace: \(other.threadName) (this verdict is on \(death.threadName))",
        .trace(event: "kvm_userspace_exit", time: other.records.last?.time))
    }
    guard others.count > named.count, let next = others.dropFirst(named.count).first else { return named }
    let rest = Evidence(
      "More vCPUs died in this trace: \(others.count - named.count)",
      .trace(event: "kvm_userspace_exit", time: next.records.last?.time))
    return named + [rest]
  }

  /// How many deaths of other threads are worth a line each.
  private static let mostOtherDeaths = 4

  /// The emulator's trace shows what is in its fetch buffer, which a failed fetch leaves as it was.
  private var staleBytes: [Evidence] {
    guard let death, let recorded, recorded.access.kind == .fetch else { return [] }
    for record in death.records.reversed() {
      guard case .emulateInstruction(let emulation) = record.event, !emulation.bytes.isEmpty else { continue }
      let bytes = emulation.bytes.map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }
      return [
        Evidence(
          "The bytes that kvm_emulate_insn shows (\(bytes.joined(separator: " "))) are not those of the instruction: "
            + "its fetch failed, so they are left over from another",
          .trace(event: "kvm_emulate_insn", time: record.time))
      ]
    }
    return []
  }

  private func missing(isExplained: Bool) -> [Missing] {
    var missing: [Missing] = []
    if scene.trace.isEmpty, scene.accelerator?.value != .tcg { missing.append(scene.missingTrace) }
    if RegistersBeforeReset(scene, death) != nil { missing.append(scene.missingRegistersAtShutdown) }
    if scene.memory == nil, level.isFirst, recorded == nil, let root = processor.flatMap({ $0.state.pagingRoot }) {
      missing.append(
        Missing(
          what: "the page tables, in memory from physical \(root.hexadecimal) on",
          how: "in QEMU's monitor: xp /512gx \(root.hexadecimal), or dump-guest-memory FILE"))
    }
    if !isExplained, let listing = scene.missingListing { missing.append(listing) }
    if scene.processors.isEmpty {
      missing.append(
        Missing(
          what: "the registers at the death", how: "inquest examine TRACE DUMP, or in QEMU's monitor: info registers -a"
        ))
    }
    if !level.isFirst {
      if !isExplained { missing += level.missing }
    } else if scene.commandLine == nil, isExplained {
      missing.append(
        Missing(
          what: "the QEMU command line, which decides the guest's CPUID",
          how: "inquest examine … with a file that has it"))
    }
    return missing
  }
}

extension GuestImage {
  /// The source line at an address, and those that it is inlined in: `vga.c:8, inlined in main.c:27`.
  fileprivate func sourceLines(at address: LinearAddress) -> String? {
    let lines = frames(at: address).compactMap { $0.line?.description }
    return lines.isEmpty ? nil : lines.joined(separator: ", inlined in ")
  }
}

extension ProcessorState {
  /// The root table's address where the processor pages in long mode.
  fileprivate var pagingRoot: UInt64? {
    guard pagingMode == .fourLevel || pagingMode == .fiveLevel else { return nil }
    return PageTableEntry(cr3).table.rawValue
  }
}

extension FailedAccess {
  /// The access and each entry that was read.
  fileprivate var evidence: [Evidence] {
    steps.map { step in
      let place = step.entryAddress.map { " at physical \($0.rawValue.hexadecimal)" } ?? ""
      return Evidence("\(step.structure.entryName) \(step.entry.rawValue.hexadecimal)\(place)", step.source)
    } + [Evidence("The walk of \(address.rawValue.hexadecimal) fails: \(errorCode.words)", source)]
  }
}
