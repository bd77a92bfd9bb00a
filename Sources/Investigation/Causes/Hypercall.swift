import GuestImage
import QEMU

/// VMCALL and VMMCALL, which ask a hypervisor for something. Under one they leave the guest, whatever its CPUID has (SDM vol. 3, 26.1.2; Linux
/// arch/x86/kvm: svm.c intercepts VMMCALL; emulate.c: em_hypercall takes the other maker's, 6.1). Elsewhere, as under TCG, they raise #UD
/// (SDM vol. 3, VMCALL; APM vol. 3, VMMCALL).
extension FirstFault {
  var isHypercall: Bool { instruction.map { ["vmcall", "vmmcall"].contains($0.mnemonic) } ?? false }

  /// What cures it where nobody answers.
  var hypercallRemedies: [Remedy] {
    [
      .guest(
        "ask CPUID for a hypervisor first (01H:ECX[31], then the signature at 40000000H), and make no call where none answers that kind of call",
        "A feature of the processor does not help: somebody has to take the call. KVM takes it, TCG has nobody who would."
      )
    ]
  }
}
