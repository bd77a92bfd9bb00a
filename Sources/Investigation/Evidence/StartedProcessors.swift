import X86

extension ObservedProcessor {
  /// Whether it is a further processor that the guest never started: as after a reset, or halted with interrupts off in the BIOS. SeaBIOS starts each
  /// once by itself and leaves it like that, in protected mode (src/fw/smp.c: smp_scan, 1.16; measured with QEMU 7.2).
  var waitsForStart: Bool {
    ResetObservations.isReset(state) || state.isHalted == true && isWhereFirmwareLeavesIt
  }

  /// A further processor with interrupts off in the BIOS.
  fileprivate var isWhereFirmwareLeavesIt: Bool {
    index > 0 && !state.rflags.contains(.interruptEnable) && state.mode == .protected(bits: 32)
      && PCMemory.bios.contains(state.instructionAddress.rawValue)
  }
}

extension Scene {
  /// What the registers of each processor prove, that of `first` before the others. Where there are several, each fact says whose it is; those that were
  /// never started are worth a line together.
  func processorObservations(first: ObservedProcessor?) -> [Evidence] {
    guard processors.count > 1 else { return processors.flatMap(observations) }
    let started = processors.filter { !waitsForStart($0) || $0.index == first?.index }
    let ordered = started.filter { $0.index == first?.index } + started.filter { $0.index != first?.index }
    let facts = ordered.flatMap { processor in
      observations(of: processor).map { Evidence(Self.named(processor.index, $0.text), $0.source) }
    }
    return otherDeaths(than: first) + facts
      + waitingProcessors(processors.filter { waitsForStart($0) && $0.index != first?.index })
  }

  /// That others cannot get on either than the one that is judged; a trace tells which died.
  private func otherDeaths(than judged: ObservedProcessor?) -> [Evidence] {
    guard let judged, trace.isEmpty, reenact(judged).1?.end == .tripleFault else { return [] }
    return processors.filter { $0.index != judged.index && reenact($0).1?.end == .tripleFault }.map { other in
      Evidence(
        "Processor \(other.index) cannot get on either: what its next instruction raises cannot be delivered. This verdict is on processor "
          + "\(judged.index); which of them came to it first, nothing here tells", other.source)
    }
  }

  /// A dump shows no halt, but the memory has the HLT (F4) that RIP is behind: with interrupts off nothing but a start leads past it.
  private func waitsForStart(_ processor: ObservedProcessor) -> Bool {
    if processor.waitsForStart { return true }
    guard processor.state.isHalted == nil, processor.isWhereFirmwareLeavesIt, let memory else { return false }
    let before = PhysicalAddress(processor.state.instructionAddress.rawValue &- 1)
    return (try? memory.bytes(at: before, count: 1)) == [0xF4]
  }

  private static func named(_ index: Int, _ fact: String) -> String {
    let subject = "The processor "
    return fact.hasPrefix(subject)
      ? "Processor \(index) \(fact.dropFirst(subject.count))" : "Processor \(index): \(fact)"
  }

  private func waitingProcessors(_ waiting: [ObservedProcessor]) -> [Evidence] {
    guard let one = waiting.first else { return [] }
    let numbers = waiting.map { "\($0.index)" }.joined(separator: ", ")
    let who = waiting.count == 1 ? "Processor \(numbers) was" : "Processors \(numbers) were"
    return [
      Evidence(
        "\(who) never started by the guest: the registers are those of a reset, or of where firmware leaves a further processor",
        one.source)
    ]
  }
}
