import KVM
import X86

extension RecordedDeath {
  /// What happened from the first fault to the death, one line for each step; a walk that KVM repeats is told once, and what it injects again and
  /// again with its number.
  ///
  /// - Parameter processor: The registers at the death, which say where the IDT lies.
  func chain(_ processor: ProcessorState?) -> [Evidence] {
    let walks = RecordedWalk.walks(in: records)
    var steps: [(evidence: Evidence, repeats: Int)] = []
    for (index, record) in records.enumerated() {
      let walk = walks.first { $0.lastRecord == index }.flatMap { step($0, processor) }
      guard let step = walk ?? Self.step(record) else { continue }
      if step.text != steps.last?.evidence.text {
        steps.append((step, 0))
      } else if walk == nil {
        steps[steps.count - 1].repeats += 1
      }
    }
    return steps.map { step, repeats in
      repeats == 0 ? step : Evidence("\(step.text), and \(repeats) more like it", step.source)
    }
  }

  private func step(_ walk: RecordedWalk, _ processor: ProcessorState?) -> Evidence? {
    guard let error = walk.error, let source = walk.errorSource else { return nil }
    let access = PageAccess(walk.access).words
    let purpose = gate(at: walk.address, processor).map { " (the IDT's gate of \($0.name))" } ?? ""
    return Evidence(
      "The \(access) at \(walk.address.rawValue.hexadecimal)\(purpose) fails: \(error.words)", source)
  }

  /// The exception whose gate lies at `address`, of those that a failed access leads to.
  private func gate(at address: LinearAddress, _ processor: ProcessorState?) -> ExceptionVector? {
    guard let processor else { return nil }
    let table = InterruptDescriptorTable(register: processor.idtr, isLongModeActive: processor.isLongModeActive)
    return [.pageFault, .doubleFault, .generalProtection].first { table.gateAddress(of: $0) == address }
  }

  private static func step(_ record: KVMRecord) -> Evidence? {
    switch record.event {
    case .injectException(let vector, let code, _):
      let code = code.map { " (\($0.hexadecimal))" } ?? ""
      return Evidence("KVM injects \(vector.name)\(code)", .trace(event: "kvm_inj_exception", time: record.time))
    case .emulateInstruction(let emulation) where emulation.failed:
      return Evidence(
        "KVM gives up emulating the instruction at \(emulation.rip.hexadecimal)",
        .trace(event: "kvm_emulate_insn", time: record.time))
    case .exit(let exit):
      return Evidence(
        "The processor leaves the guest at \(exit.rip.hexadecimal): \(exit.reasonName)",
        .trace(event: "kvm_exit", time: record.time))
    case .userspaceExit(let reason, _):
      let words =
        switch reason {
        case .shutdown: "KVM reports a triple fault to QEMU (KVM_EXIT_SHUTDOWN)"
        case .internalError: "KVM reports an internal error to QEMU (KVM_EXIT_INTERNAL_ERROR)"
        case .failEntry: "KVM reports a failed entry to QEMU (KVM_EXIT_FAIL_ENTRY)"
        default: "KVM returns to QEMU (reason \(reason.rawValue))"
        }
      return Evidence(words, .trace(event: "kvm_userspace_exit", time: record.time))
    default: return nil
    }
  }
}

extension PageFaultErrorCode {
  /// `0x9 (P|RSVD)`.
  var words: String {
    names.isEmpty ? rawValue.hexadecimal : "\(rawValue.hexadecimal) (\(names.joined(separator: "|")))"
  }
}
