import QEMU
import X86

/// `host.msr-refused`: QEMU had to set an MSR that this host's KVM does not take.
struct MSRRefused: CauseOfFailure, SingleCause {
  static let id = "host.msr-refused"
  static let title = "KVM refuses a model-specific register that QEMU has to set"

  private let statement: Sourced<Statement>

  init?(_ failure: ReportedFailure) {
    guard let statement = failure.scene.statement(.msrNotSet) ?? failure.scene.statement(.msrAssertion) else {
      return nil
    }
    self.statement = statement
  }

  private var msr: (index: UInt32, value: UInt64?)? {
    statement.value.kind == .msrNotSet ? statement.value.msr : nil
  }

  var summary: String {
    guard let msr else {
      return
        "KVM took fewer MSRs than QEMU gave it, and QEMU aborts. A line `error: failed to set MSR`, which newer QEMU prints before, would name the one."
    }
    let value = msr.value.map { " the value \($0.hexadecimal)" } ?? ""
    return
      "QEMU gave KVM\(value) for \(KnownMSR.words(msr.index)), and KVM refused: this host's kernel or processor does not have the MSR or one of the bits. QEMU aborts; the guest did nothing wrong."
  }

  var evidence: [Evidence] { [Evidence("QEMU: \(statement.value.text)", statement.source)] }

  var remedies: [Remedy] {
    let isVMX = msr.map { (0x480...0x491).contains($0.index) } ?? false
    return [
      Remedy(
        kind: .commandLine,
        change: isVMX ? "-cpu MODEL,-vmx" : "-cpu with a model that this host has, without migratable state of another",
        reason: isVMX
          ? "The MSR is one of VMX's capabilities, set for nested guests only."
          : "The value comes from the CPU model or from the host where the state was saved.", available: nil),
      .host(
        "update the host's kernel to the one that the guest's state or CPU model was made for",
        "KVM learns MSRs with time."),
    ]
  }

  static let manual = """
    Before a guest runs, QEMU sets its MSRs through KVM_SET_MSRS: those of the CPU model, or those that came with a migration or a
    snapshot. KVM stops at the first that it refuses; QEMU prints `error: failed to set MSR 0x48f to 0x7fffff00036dfb` and aborts with
    ``Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed``.

    ## Why

    The host's kernel does not know the MSR, or its processor (or the hypervisor below it) lacks a bit of the value: a model of a newer
    processor, nested VMX capabilities that changed between two kernels, performance counters with `vPMU` off.

    ## The cure

    Turn off the feature that the MSR belongs to in `-cpu`, or use a host kernel that knows it. The guest is not at fault.

    QEMU target/i386/kvm/kvm.c: kvm_buf_set_msrs, 7.2; Linux arch/x86/kvm/x86.c: msr_io, 6.1.
    """
}
