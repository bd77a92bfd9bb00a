import KVM
import QEMU
import X86

/// `entry.smm`: the processor refused the first instruction of a system-management interrupt's handler.
struct EntryToSMM: CauseOfFailure, SingleCause {
  static let id = "entry.smm"
  static let title = "The entry to system-management mode failed"

  private let isAMD: Bool
  private let violation: GuestStateViolation?

  /// SMM=1 and EIP=8000: SMBASE + 8000H is where the handler begins (SDM vol. 3, 31.4.2, 31.5).
  init?(_ failure: ReportedFailure) {
    guard let entry = failure.entry else { return nil }
    switch entry.failure {
    case .failedEntry(33): isAMD = false
    case .invalidVMCB: isAMD = true
    default: return nil
    }
    let dump = failure.scene.lastDump
    guard failure.state?.isInSMM == true || dump?[.smm] == 1, (failure.state?.rip ?? dump?[.rip]) == 0x8000 else {
      return nil
    }
    violation = entry.violations.first
  }

  var summary: String {
    let rule = violation.map { " The rule that is broken: \($0.words) (\($0.rule))." } ?? ""
    let start =
      "A system-management interrupt (SMI) came, and the processor refused to run the first instruction of its handler (SMM 1, EIP 8000): entering SMM is what failed, not the guest's system or its disk.\(rule) "
    return start
      + (isAMD
        ? "KVM on AMD, above all where the host is itself a guest (nested SVM), did not carry SMM through."
        : "A known reason is an interrupt shadow (STI or MOV SS) that was in force when the SMI came and that KVM before Linux 6.2 kept, while entering SMM clears RFLAGS.IF: VM entry forbids that (SDM vol. 3, 26.3.1.5). Registers do not show the shadow.")
  }

  var remedies: [Remedy] {
    [
      .host(
        "a newer kernel on the host\(isAMD ? ", and on the one below it" : ", 6.2 or later")",
        "Entering and leaving SMM, with nested virtualization above all, was mended several times."),
      Remedy(
        kind: .commandLine, change: "-machine q35,smm=off with firmware built without SMM (not OVMF's secboot build)",
        reason: "No SMI, no entry to SMM.",
        available: nil),
      Remedy(kind: .commandLine, change: "-accel tcg", reason: "TCG carries SMM through by itself.", available: true),
    ]
  }

  static let manual = """
    The firmware of many machines, OVMF with Secure Boot for one, works with system-management interrupts (SMI). The processor saves its whole
    state in SMRAM and begins the handler at SMBASE + 8000H, in a mode like real mode. Under KVM that is emulated; then the processor is to enter
    the guest there, and refuses.

    ## How to recognise it

    `KVM: entry failed, hardware error 0x80000021` on Intel or `0xffffffff` on AMD, with SMM=1 and EIP=00008000.

    ## Why

    - Intel, before Linux 6.2: an interrupt shadow from before the SMI is kept, while RFLAGS.IF is clear in SMM. It comes at random, with Windows
      guests most. Distributions have carried the fix to older kernels (RHEL 8 with RHSA-2023:4815).
    - AMD, where the host is itself a guest: nested SVM did not carry SMM through, so that the first SMI ends the guest. It looks as if the disk
      did not boot.

    ## The cure

    A newer host kernel; firmware without SMM; `smm=off`.

    SDM vol. 3, 26.3.1.5, 31.4; Linux arch/x86/kvm/smm.c: enter_smm, 6.2; the series of 25 October 2022 on the kvm list that clears the shadow.
    """
}
