import X86

/// What becomes of an exception: whether the processor can reach a handler for it (SDM vol. 3, 6.12 to 6.15).
///
/// Followed as far as the gate: the table's limit, the gate's memory, its type and P. What lies behind a sound gate, the
/// handler's code segment and stack, is not judged here.
struct Delivery {
  /// How it ends.
  enum End {
    /// No gate can be had for the exception, nor for those that follow from that: the processor shuts down.
    case tripleFault
    /// A gate is there.
    case gateFound
    /// What is known does not decide it.
    case undetermined
  }

  private(set) var steps: [Evidence] = []
  /// The gates that could not be read for a page fault of their own, which writes CR2 again.
  private(set) var faultingGates: [LinearAddress] = []
  private(set) var end = End.undetermined

  /// Delivers `first` with the registers `state`, and what comes up in its place (``X86/ExceptionVector/interrupted(by:)``).
  init(of first: ExceptionVector, in state: ProcessorState, memory: some PhysicalMemory, rules: PagingRules) {
    let table = InterruptDescriptorTable(register: state.idtr, isLongModeActive: state.isLongModeActive)
    guard state.mode != .real, let paging = Paging(state, rules: rules) else { return }
    let access = PageAccess(
      .read, by: state.currentPrivilegeLevel == 3 ? .implicitSupervisorAtCPL3 : .implicitSupervisor)
    var vector = first
    // Each exception in turn is of a higher class, or a page fault at another gate: four suffice to reach the end.
    for _ in 0..<4 {
      switch Self.gate(of: vector, in: table, through: paging, for: access, from: memory) {
      case .found:
        end = .gateFound
        steps.append(Evidence("\(vector.name) has a gate in the IDT", .reenactment))
        return
      case .unknown(let reason):
        steps.append(Evidence("whether \(vector.name) can be delivered is not known: \(reason)", .reenactment))
        return
      case .fails(let reason, let second, let faultsAt):
        if let faultsAt { faultingGates.append(faultsAt) }
        let next = vector.interrupted(by: second)
        steps.append(
          Evidence(
            "\(vector.name) cannot be delivered: \(reason); \(next?.name ?? "a triple fault") follows", .reenactment))
        guard let next else {
          end = .tripleFault
          return
        }
        vector = next
      }
    }
  }

  private enum Gate {
    case found
    /// The look-up raises another exception; where it is a page fault, at an address.
    case fails(String, ExceptionVector, pageFaultAt: LinearAddress? = nil)
    case unknown(String)
  }

  private static func gate(
    of vector: ExceptionVector, in table: InterruptDescriptorTable, through paging: Paging, for access: PageAccess,
    from memory: some PhysicalMemory
  ) -> Gate {
    guard table.contains(vector) else {
      return .fails(
        "the IDT's limit, \(table.register.limit.hexadecimal), ends before its gate (#GP)", .generalProtection)
    }
    let address = table.gateAddress(of: vector)
    let walk = paging.walk(address, for: access, in: memory)
    switch walk.outcome {
    case .translated(let translation):
      return gate(at: translation.physicalAddress, isLongMode: table.isLongModeActive, in: memory)
    case .unpaged(let physical):
      return gate(at: physical, isLongMode: table.isLongModeActive, in: memory)
    case .pdpteNotLoadable:
      return .unknown("the page-directory-pointer-table registers are not known")
    case .pageFault(let fault):
      let code = fault.errorCode.rawValue.hexadecimal
      return .fails(
        "its gate at \(address.rawValue.hexadecimal) cannot be read (#PF, \(code))", .pageFault,
        pageFaultAt: address)
    case .notCanonical:
      return .fails("its gate at \(address.rawValue.hexadecimal) is not canonical (#GP)", .generalProtection)
    case .undetermined(let doubt, at: let structure):
      return .unknown(doubt.words(at: structure))
    }
  }

  private static func gate(
    at address: PhysicalAddress, isLongMode: Bool, in memory: some PhysicalMemory
  ) -> Gate {
    guard let low = try? memory.loadUInt64(at: address),
      let high = isLongMode ? try? memory.loadUInt64(at: PhysicalAddress(address.rawValue &+ 8)) : 0
    else { return .unknown("the IDT's memory is not known") }
    let gate = isLongMode ? InterruptGate(low: low, high: high) : InterruptGate(low)
    guard gate.kind != nil else {
      return .fails("its IDT entry is no gate, type \(gate.type.hexadecimal) (#GP)", .generalProtection)
    }
    return gate.isPresent ? .found : .fails("its gate is not present (#NP)", .segmentNotPresent)
  }
}
