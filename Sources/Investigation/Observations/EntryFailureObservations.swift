import KVM
import QEMU
import X86

/// What a failed VM entry proves: which kind of failure it was, and which rule the guest's state breaks.
struct EntryFailureObservations {
  let failure: EntryFailure
  /// The rules that the state breaks for certain, as far as it is shown.
  let violations: [GuestStateViolation]
  /// The rules that real mode's state breaks on a processor without unrestricted guests, where it breaks no other.
  let violationsOfRealMode: [GuestStateViolation]
  private(set) var evidence: [Evidence] = []

  /// - Parameter processor: The registers that were dumped with the error.
  init(hardwareError: UInt64, _ source: Source, in scene: Scene, processor: ObservedProcessor?) {
    let failure = EntryFailure(hardwareError: hardwareError)
    self.failure = failure
    let states = scene.entryStates(processor)
    evidence.append(Evidence("Hardware error \(hardwareError.hexadecimal): \(failure.meaning)", source))
    switch failure {
    case .failedEntry(33), .invalidVMCB: break
    case .instructionError(let number):
      (violations, violationsOfRealMode) = ([], [])
      if let note = Self.note(on: number) { evidence.append(Evidence(note, source)) }
      return
    default:
      (violations, violationsOfRealMode) = ([], [])
      return
    }
    let isVMX = failure != .invalidVMCB
    var found: [GuestStateViolation] = []
    for state in states {
      for violation in isVMX ? state.value.vmxViolations : state.value.svmViolations where !found.contains(violation) {
        found.append(violation)
        evidence.append(Evidence("The rule that is broken: \(violation.words) (\(violation.rule))", state.source))
      }
    }
    violations = found
    violationsOfRealMode =
      isVMX && found.isEmpty && processor?.state.isInSMM != true
      ? states.flatMap { $0.value.violationsWithoutUnrestrictedGuest } : []
    for violation in violationsOfRealMode.prefix(2) {
      evidence.append(
        Evidence(
          "Without unrestricted guests real mode is entered as virtual-8086 mode, and then \(violation.words) (\(violation.rule)): KVM has to emulate such code (emulate_invalid_guest_state=1)",
          states.first?.source ?? source))
    }
    if isVMX, violationsOfRealMode.isEmpty, scene.log.contains(where: \.value.isDump) {
      evidence.append(
        Evidence(
          Self.onQEMUsParagraph(isExplained: !found.isEmpty, processor?.state, isShown: !states.isEmpty), source))
    }
  }

  /// QEMU prints its paragraph for 0x80000021 on Intel whatever the state is (target/i386/kvm/kvm.c: kvm_arch_handle_exit, 7.2).
  private static func onQEMUsParagraph(isExplained: Bool, _ state: ProcessorState?, isShown: Bool) -> String {
    if isExplained {
      return "QEMU's text about big real mode is its standing guess for this number; the state shows another reason"
    }
    let vmcs = "the VMCS itself, in the host's log with kvm_intel dump_invalid_vmcs=1, would tell"
    guard isShown else {
      return
        "QEMU's text about big real mode is its standing guess for this number. Too little of the state is shown to check the rules of VM entry; \(vmcs)"
    }
    let isInOtherMode = state.map { $0.mode != .real } ?? false
    return
      "The state that is shown breaks none of the rules that Inquest checks"
      + (isInOtherMode
        ? ", and it is not in real mode, so that QEMU's text about big real mode, its standing guess, does not fit"
        : "")
      + "; \(vmcs)"
  }

  private static func note(on number: UInt32) -> String? {
    switch number {
    case 4, 5, 6, 16...19:
      "That is about the VMCS as KVM uses it, on the host; nothing that a guest does can bring it about"
    case 7, 8:
      "That is about fields that the host's KVM writes (controls and host state), not about the guest's state: the host's kernel or the "
        + "hypervisor below it is at fault, never the guest's image"
    default: nil
    }
  }
}

extension Scene {
  /// The guest's state at the failed entry: as the host's log shows it, and as QEMU does.
  func entryStates(_ processor: ObservedProcessor?) -> [Sourced<GuestEntryState>] {
    var states = log.compactMap { entry -> Sourced<GuestEntryState>? in
      switch entry.value {
      case .vmcs(let dump): Sourced(dump.guest, entry.source)
      case .vmcb(let dump): Sourced(dump.guest, entry.source)
      default: nil
      }
    }.suffix(1)
    if states.isEmpty, let processor { states.append(Sourced(GuestEntryState(processor.state), processor.source)) }
    return Array(states)
  }

  /// The last failed entry in the log.
  var failedEntry: Sourced<UInt64>? {
    for entry in log.reversed() {
      if case .kvmEntryFailed(let error) = entry.value { return Sourced(error, entry.source) }
    }
    for entry in log.reversed() {
      switch entry.value {
      case .vmcs(let dump): if let reason = dump.failedEntry { return Sourced(UInt64(reason), entry.source) }
      case .vmcb(let dump) where dump.isFailedEntry: return Sourced(.max, entry.source)
      default: continue
      }
    }
    return nil
  }

  /// What a VMCS says where no message names the failure: Linux prints one when an entry failed, or after an exit that it does not know
  /// (vmx.c: dump_vmcs and its callers, 6.1).
  private func unnamedFailure(_ dump: VMCSDump) -> [String] {
    guard failedEntry == nil else { return [] }
    return [
      "The host's kernel prints a VMCS where the processor refused to enter the guest, or left it for a reason that KVM does not know; which of them, the rest of the dump and QEMU's message tell"
    ] + dump.guest.vmxViolations.map { "It breaks a rule of VM entry: \($0.words) (\($0.rule))" }
  }

  /// What VMCS and VMCB dumps in the host's log show beyond the rules.
  var hostDumpObservations: [Evidence] {
    log.flatMap { entry -> [Evidence] in
      switch entry.value {
      case .vmcs(let dump): (dump.words + unnamedFailure(dump)).map { Evidence($0, entry.source) }
      case .vmcb(let dump): dump.words.map { Evidence($0, entry.source) }
      default: []
      }
    }
  }
}

extension QEMUMessage {
  var isDump: Bool { if case .registerDump = self { true } else { false } }
}

extension VMCSDump {
  /// The exit reason where it is a failed entry's: bit 31 is set.
  var failedEntry: UInt32? { exitReason.flatMap { $0 >> 31 == 1 ? $0 : nil } }

  /// What the dump shows, each a sentence.
  fileprivate var words: [String] {
    var words: [String] = []
    if let rip = guest.rip, let rsp {
      words.append("The VMCS has RIP \(rip.hexadecimal) and RSP \(rsp.hexadecimal), whole")
    }
    if let cr0 = guest.cr0, let cr4 = guest.cr4 {
      let shadow = shadowCR0.map { ", as the guest reads it \($0.hexadecimal)" } ?? ""
      words.append("CR0 in the VMCS is \(cr0.rawValue.hexadecimal)\(shadow); CR4 is \(cr4.rawValue.hexadecimal)")
    }
    if let exitReason { words.append("The exit reason in the VMCS is \(exitReason.hexadecimal)") }
    if let interruptStatus, interruptStatus & 0xFF != 0 {
      words.append(
        "The interrupt status is \(interruptStatus.hexadecimal): interrupt \((interruptStatus & 0xFF).hexadecimal) is pending in the virtual APIC (RVI)"
      )
    }
    if let event = guest.event, let name = EventInformation(rawValue: event).name {
      words.append("\(name) was to be injected at the entry")
    }
    return words
  }
}

extension VMCBDump {
  /// Whether the exit code is VMEXIT_INVALID, -1 of 32 or 64 bits.
  var isFailedEntry: Bool { exitCode == 0xFFFF_FFFF || exitCode == .max }

  fileprivate var words: [String] {
    var words: [String] = []
    if let rip = guest.rip { words.append("The VMCB has RIP \(rip.hexadecimal)\(cpl.map { " at CPL \($0)" } ?? "")") }
    if let nestedControl {
      let parts = [(0, "nested paging"), (1, "SEV"), (2, "SEV-ES")].filter { nestedControl >> UInt64($0.0) & 1 == 1 }
        .map(\.1)
      if !parts.isEmpty { words.append("The VMCB turns on \(parts.joined(separator: ", "))") }
    }
    if let virtualExtensions, virtualExtensions & 1 == 1 {
      words.append("The VMCB turns on LBR virtualization (virt_ext bit 0)")
    }
    if let event = guest.event, let name = EventInformation(rawValue: event).name {
      words.append("\(name) was to be injected at the entry")
    }
    return words
  }
}
