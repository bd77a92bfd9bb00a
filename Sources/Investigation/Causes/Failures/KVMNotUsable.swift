import QEMU
import X86

/// `host.kvm-not-usable`: QEMU could not start the guest because KVM is not to be had.
struct KVMNotUsable: CauseOfFailure, SingleCause {
  static let id = "host.kvm-not-usable"
  static let title = "KVM cannot be used on this host"

  private let statement: Sourced<Statement>
  private let meaning: StatementMeaning
  /// What the host's own log says of the reason.
  private let reason: Sourced<Statement>?

  init?(_ failure: ReportedFailure) {
    let reason = failure.scene.statement(.disabledByBIOS, .noVirtualization, .kvmBusy)
    guard
      let statement = failure.scene.statement(
        .cannotAccessKVM, .cannotInitializeKVM, .invalidAccelerator, .noAccelerator, .kvmNotSupported,
        .hostModelNeedsKVM),
      let meaning = statement.value.meaning
    else { return nil }
    (self.statement, self.meaning) = (statement, meaning)
    self.reason = reason
  }

  var summary: String {
    guard let reason, reason.value.kind != statement.value.kind, let why = reason.value.meaning else {
      return meaning.words + "."
    }
    return "\(meaning.words). The host's log says why: \(why.words)."
  }

  var confidence: Confidence { reason == nil ? .likely : .proven }

  var evidence: [Evidence] {
    [Evidence(statement.value.text, statement.source)]
      + (reason.map { $0.value == statement.value ? [] : [Evidence($0.value.text, $0.source)] } ?? [])
  }

  var remedies: [Remedy] {
    let kinds = [statement.value.kind, reason?.value.kind]
    var remedies: [Remedy] = []
    if kinds.contains(.disabledByBIOS) {
      remedies.append(
        .host(
          "turn on VT-x or SVM (AMD-V) in the firmware's setup, and power the machine off once",
          "The firmware locks the switch until a reset."))
    } else if statement.value.text.lowercased().contains("permission denied") {
      remedies.append(
        .host(
          "give the user access to /dev/kvm: sudo usermod -aG kvm USER, then log in anew",
          "The group kvm owns the device."))
    } else if kinds.contains(.kvmBusy) || statement.value.isBusy {
      remedies.append(
        .host("stop the other hypervisor, or unload its module", "Only one can have the processor's virtualization."))
    } else {
      remedies.append(
        .host(
          "sudo modprobe kvm_intel or kvm_amd, and look at dmesg; in a virtual machine turn on nested virtualization below it",
          "The module says why it cannot be used."))
    }
    remedies.append(
      Remedy(
        kind: .commandLine, change: "-accel tcg", reason: "TCG needs no virtualization; it is slower by far.",
        available: true))
    return remedies
  }

  static let manual = """
    QEMU was asked for KVM and could not use it: the guest did not start. That is no death of the guest.

    ## How to recognise it

    | QEMU says | it means |
    |---|---|
    | `Could not access KVM kernel module: No such file or directory` | no /dev/kvm: the module is not loaded, or virtualization is off |
    | `Could not access KVM kernel module: Permission denied` | /dev/kvm is there, and this user may not open it |
    | `failed to initialize kvm: Device or resource busy` | another hypervisor has the processor |
    | `invalid accelerator kvm` | this QEMU was built without it |
    | `CPU model 'host' requires KVM or HVF` | -cpu host without -accel kvm |

    The host's log has the reason: `kvm: disabled by bios`, `VMX not supported by CPU`.

    ## The cure

    Turn on virtualization in the firmware, load kvm_intel or kvm_amd, join the group kvm; in a virtual machine turn on nested
    virtualization in the hypervisor below. `-accel tcg` works everywhere.

    QEMU accel/kvm/kvm-all.c: kvm_init, 7.2; Linux arch/x86/kvm/vmx/vmx.c and svm/svm.c: hardware_setup and the module's init, 6.1.
    """
}
