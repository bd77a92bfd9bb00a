import X86

extension Examiner {
  /// Follows each exception to its handler: the gate, the code segment, the stack switch, the first instruction.
  mutating func examineInterrupts(_ paging: Paging, in memory: some PhysicalMemory) {
    let table = InterruptDescriptorTable(register: state.idtr, isLongModeActive: state.isLongModeActive)
    guard table.contains(.divideError) else {
      add(
        "interrupt.idt-limit", .fatal,
        "the IDT (base \(state.idtr.base.rawValue.hexadecimal), limit \(state.idtr.limit.hexadecimal)) holds no gate: the first "
          + "exception\(interrupts) is a triple fault",
        remedy: "load an IDT with gates at least for #DF, #GP and #PF (LIDT) before anything can fault")
      return
    }
    let ways = Self.exceptions.map { ($0, way(of: $0, table, paging, in: memory)) }
    let broken = ways.compactMap { vector, way -> (ExceptionVector, Obstacle)? in
      guard case .blocked(let obstacle) = way else { return nil }
      return (vector, obstacle)
    }
    let unknown = ways.filter { if case .unknown = $0.1 { true } else { false } }
    if !unknown.isEmpty {
      unjudged.append("vCPU \(processor.index): whether \(names(unknown.map(\.0))) can be delivered")
    }
    guard !broken.isEmpty else { return }
    let doubleFault = broken.first { $0.0 == .doubleFault }
    for (obstacle, vectors) in grouped(broken) {
      let isFatal = doubleFault != nil
      let end = isFatal ? "and #DF cannot be delivered either, so each is a triple fault" : "so each becomes #DF"
      add(
        obstacle.id, isFatal ? .fatal : .note, "\(names(vectors)) cannot be delivered: \(obstacle.words), \(end)",
        remedy: obstacle.remedy)
    }
  }

  private var interrupts: String { state.rflags.contains(.interruptEnable) ? ", or the next interrupt," : "" }

  /// The exceptions that any kernel can have. Those of debugging, of x87 and of virtualization need it to ask for them.
  private static let exceptions: [ExceptionVector] = [
    .divideError, .invalidOpcode, .doubleFault, .segmentNotPresent, .stackFault, .generalProtection, .pageFault,
  ]

  private func names(_ vectors: [ExceptionVector]) -> String { vectors.map(\.name).joined(separator: ", ") }

  private func grouped(
    _ broken: [(ExceptionVector, Obstacle)]
  ) -> [(Obstacle, [ExceptionVector])] {
    var groups: [(Obstacle, [ExceptionVector])] = []
    for (vector, obstacle) in broken {
      if let index = groups.firstIndex(where: { $0.0 == obstacle }) {
        groups[index].1.append(vector)
      } else {
        groups.append((obstacle, [vector]))
      }
    }
    return groups
  }

  // MARK: One exception

  /// What keeps an exception from its handler.
  struct Obstacle: Hashable {
    var id: String
    var words: String
    var remedy: String
  }

  private enum Way {
    case clear
    case blocked(Obstacle)
    case unknown
  }

  private func way(
    of vector: ExceptionVector, _ table: InterruptDescriptorTable, _ paging: Paging, in memory: some PhysicalMemory
  ) -> Way {
    guard table.contains(vector) else {
      return .blocked(
        Obstacle(
          id: "interrupt.idt-limit",
          words: "the IDT's limit, \(table.register.limit.hexadecimal), ends before its gate",
          remedy: "make the IDT's limit 16 (in protected mode 8) times the number of gates, less 1"))
    }
    let gate: InterruptGate
    do throws(LinearAccessFailure) {
      gate = try self.gate(of: vector, table, paging, in: memory)
    } catch {
      return error.isDefinite
        ? .blocked(
          Obstacle(
            id: "interrupt.idt-not-mapped",
            words: "its gate at \(error.address.rawValue.hexadecimal) cannot be read: the IDT is not mapped",
            remedy: "map the IDT in every address space"))
        : .unknown
    }
    guard gate.kind != nil else {
      return .blocked(
        Obstacle(
          id: "interrupt.gate-type", words: "its IDT entry is no gate (type \(gate.type.hexadecimal))",
          remedy: "fill the IDT with interrupt or trap gates, types EH and FH"))
    }
    guard gate.isPresent else {
      return .blocked(
        Obstacle(
          id: "interrupt.gate-not-present", words: "its gate is not present",
          remedy: "give it a gate with P set (bit 47)"))
    }
    return gate.kind == .task ? .unknown : handlerWay(gate, paging, in: memory)
  }

  private func gate(
    of vector: ExceptionVector, _ table: InterruptDescriptorTable, _ paging: Paging, in memory: some PhysicalMemory
  ) throws(LinearAccessFailure) -> InterruptGate {
    let address = table.gateAddress(of: vector)
    let access = PageAccess(.read, by: .implicitSupervisor)
    let low = try paging.loadUInt64(at: address, for: access, in: memory)
    guard table.isLongModeActive else { return InterruptGate(low) }
    let high = try paging.loadUInt64(at: LinearAddress(address.rawValue &+ 8), for: access, in: memory)
    return InterruptGate(low: low, high: high)
  }

  /// The way behind a sound gate (SDM vol. 3, 6.12.1 and 6.14).
  private func handlerWay(_ gate: InterruptGate, _ paging: Paging, in memory: some PhysicalMemory) -> Way {
    switch descriptor(gate.selector, paging, in: memory) {
    case .unknown: return .unknown
    case .absent(let why):
      return .blocked(
        Obstacle(
          id: "interrupt.gate-selector", words: "its gate's selector \(gate.selector.rawValue.hexadecimal) \(why)",
          remedy: "put the selector of a present code segment into the gates, and keep that descriptor in the GDT"))
    case .found(let descriptor):
      guard descriptor.isCode, descriptor.attributes.contains(.present) else {
        return .blocked(
          Obstacle(
            id: "interrupt.gate-selector",
            words: "its gate's selector \(gate.selector.rawValue.hexadecimal) names no present code segment",
            remedy: "put the selector of a present code segment into the gates"))
      }
      if gate.isLongMode, !descriptor.attributes.contains(.long) || descriptor.attributes.contains(.big) {
        return .blocked(
          Obstacle(
            id: "interrupt.gate-selector",
            words:
              "its gate's selector \(gate.selector.rawValue.hexadecimal) names a code segment that is not of 64 bits",
            remedy: "use a code segment with L set and D clear in the gates of long mode"))
      }
      if gate.interruptStackTable != 0, let obstacle = stackObstacle(gate.interruptStackTable, paging, in: memory) {
        return .blocked(obstacle)
      }
      return entryWay(gate.isLongMode ? gate.offset : descriptor.base &+ gate.offset, paging, in: memory)
    }
  }

  /// The handler's first instruction.
  private func entryWay(_ address: UInt64, _ paging: Paging, in memory: some PhysicalMemory) -> Way {
    let walk = paging.walk(LinearAddress(address), for: PageAccess(.fetch, by: .supervisor), in: memory)
    switch walk.judgement {
    case .accepted: return .clear
    case .undecided: return .unknown
    case .refused:
      return .blocked(
        Obstacle(
          id: "interrupt.handler-not-mapped",
          words: "its handler at \(address.hexadecimal) cannot be fetched (\(WalkExplanation(walk).outcome))",
          remedy: "map the handlers executable in every address space"))
    }
  }

  /// What is wrong with an interrupt stack; nil if nothing is, or nothing is known to be.
  private func stackObstacle(_ entry: Int, _ paging: Paging, in memory: some PhysicalMemory) -> Obstacle? {
    guard !state.tr.selector.isNull, state.tr.limit >= TaskStateSegment.leastLimit else {
      return Obstacle(
        id: "interrupt.tss-missing",
        words: "its gate asks for stack IST\(entry), and TR holds no TSS (selector "
          + "\(state.tr.selector.rawValue.hexadecimal), limit \(state.tr.limit.hexadecimal))",
        remedy: "load TR (LTR) with a TSS of 104 bytes or more")
    }
    let tss = TaskStateSegment(base: LinearAddress(state.tr.base))
    let access = PageAccess(.read, by: .implicitSupervisor)
    guard
      let stack = try? paging.loadUInt64(
        at: tss.stackPointerAddress(ofInterruptStack: entry), for: access, in: memory)
    else { return nil }
    // The processor aligns the stack to 16 bytes and pushes SS first (SDM vol. 3, 6.14.2).
    let walk = paging.walk(
      LinearAddress((stack & ~0xF) &- 8), for: PageAccess(.write, by: .implicitSupervisor), in: memory)
    guard walk.judgement == .refused else { return nil }
    return Obstacle(
      id: "interrupt.ist-stack",
      words: "its stack IST\(entry), \(stack.hexadecimal), cannot be written (\(WalkExplanation(walk).outcome))",
      remedy: "put the top of a mapped, writable stack into IST\(entry) of the TSS")
  }
}
