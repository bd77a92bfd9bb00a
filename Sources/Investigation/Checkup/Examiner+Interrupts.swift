import X86

extension Examiner {
  /// Follows each exception to its handler: the gate, the code segment, the stack switch, the first instruction.
  mutating func examineInterrupts() {
    let table = InterruptDescriptorTable(register: state.idtr, isLongModeActive: state.isLongModeActive)
    guard table.contains(.divideError) else {
      add(
        "interrupt.idt-limit", .fatal,
        "the IDT (base \(state.idtr.base.rawValue.hexadecimal), limit \(state.idtr.limit.hexadecimal)) holds no gate: the first "
          + "exception\(interrupts) is a triple fault",
        remedy: "load an IDT with gates at least for #DF, #GP and #PF (LIDT) before anything can fault")
      return
    }
    let ways = Self.exceptions.map { ($0, way(of: $0)) }
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
        obstacle.kind.rawValue, isFatal ? .fatal : .note,
        "\(names(vectors)) cannot be delivered: \(obstacle.words), \(end)",
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

  private enum Way {
    case clear
    case blocked(Obstacle)
    case unknown
  }

  typealias Obstacle = HandlerPath.Obstacle

  /// The way to the handler, and its first instruction. The stack at hand is another check's (``examineStack``).
  private func way(of vector: ExceptionVector) -> Way {
    switch HandlerPath(of: vector, at: instant) {
    case .unknown: return .unknown
    case .blocked(let obstacle): return obstacle.kind == .stackNotWritable ? .clear : .blocked(obstacle)
    case .clear(let handler):
      switch instant.translate(handler, for: PageAccess(.fetch, by: .supervisor)) {
      case .physical: return .clear
      case .unknown: return .unknown
      case .fails(let exception):
        let why = exception.access.map { "#PF, \($0.errorCode.words)" } ?? "not canonical"
        return .blocked(
          Obstacle(
            kind: .handlerNotMapped,
            words: "its handler at \(handler.rawValue.hexadecimal) cannot be fetched (\(why))",
            remedy: "map the handlers executable in every address space", exception: exception.vector,
            access: exception.access))
      }
    }
  }
}
