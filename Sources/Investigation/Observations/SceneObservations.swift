import KVM
import QEMU
import X86

extension Scene {
  /// What the reports of KVM and QEMU say by themselves, the most telling first.
  ///
  /// - Parameter processor: The vCPU that died.
  func reportObservations(of processor: ObservedProcessor?) -> [Evidence] {
    internalErrors.flatMap { InternalErrorObservations($0.value, $0.source, in: self, processor: processor).evidence }
  }

  /// The last internal error of each kind.
  private var internalErrors: [Sourced<KVMInternalError>] {
    var errors: [Sourced<KVMInternalError>] = []
    for entry in log {
      guard case .kvmInternalError(let error) = entry.value else { continue }
      errors.removeAll { $0.value.suberror == error.suberror }
      errors.append(Sourced(error, entry.source))
    }
    return errors
  }

  /// What the registers of one processor, and the bytes at its RIP, prove.
  func observations(of processor: ObservedProcessor) -> [Evidence] {
    let instruction =
      code(of: processor).map { InstructionObservations($0.value, at: processor.state, $0.source).evidence } ?? []
    return instruction + ProcessorObservations(of: processor).evidence
  }

  /// The `Code=` line of the dump that a processor's registers are from.
  func code(of processor: ObservedProcessor) -> Sourced<CodeBytes>? {
    for entry in log.reversed() {
      guard case .registerDump(let dump) = entry.value, dump.state?.rip == processor.state.rip, let code = dump.code
      else { continue }
      guard case .log(let name, _) = entry.source else { return Sourced(code, entry.source) }
      return Sourced(code, .log(name: name, line: code.line))
    }
    return nil
  }
}
