import GuestImage
import KVM
import QEMU
import X86

/// `emulation.smm-return`: KVM could not carry out RSM.
struct ReturnFromSMM: CauseOfFailure, SingleCause {
  static let id = "emulation.smm-return"
  static let title = "The return from system-management mode failed"

  private let state: ProcessorState
  private let isNested: Bool
  private let hasBadTables: Bool

  init?(_ failure: ReportedFailure) {
    guard failure.internalError(.emulation) != nil, let state = failure.state, state.isInSMM == true,
      failure.next?.instruction?.mnemonic == "rsm"
    else { return nil }
    self.state = state
    isNested = failure.scene.asksForHypervisorFlag
    hasBadTables = !SegmentObservations.tables(state).isEmpty
  }

  var summary: String {
    "RSM, the last instruction of the firmware's SMI handler, loads the processor's whole state from the save area in SMRAM. KVM emulates it and could not put what it found there in force: the save area holds no legal "
      + "state, or KVM read another memory than the one it saved to. No code of an operating system has part in it: the host's KVM is at fault"
      + (isNested
        ? ", or rather the one below it, since the command line suggests that the host is itself a guest."
        : ", or the hypervisor below it if the host is itself a guest.")
  }

  var remedies: [Remedy] {
    [
      .host(
        "another kernel on the host, and on the one below it where the guest is nested",
        "SMM together with nested virtualization had defects in several versions of KVM."),
      Remedy(
        kind: .commandLine, change: "-machine q35,smm=off, or pc,smm=off",
        reason: "Without SMM the firmware sets up no SMI handler.", available: true),
    ]
  }

  static let manual = """
    In system-management mode the firmware's handler ends with RSM. Under KVM it is emulated: the state is read from SMRAM, checked and loaded.
    If that fails, KVM reports an internal error (suberror 1) at the RSM, or, in newer kernels, a triple fault.

    ## How to recognise it

    SMM=1, `Code=` with `<0f> aa` (RSM). Values of GDT and IDT that no software loads mean that the area was saved or read wrongly.

    ## Why

    KVM on the host lost track of the memory that SMM sees, most often with nested guests, where the guest's and the nested guest's page tables
    are switched; or the firmware's handler overwrote the save area.

    ## The cure

    Another host kernel; `smm=off` where the firmware permits it.

    Linux arch/x86/kvm/emulate.c: em_rsm, 5.15; arch/x86/kvm/smm.c, 6.2; SDM vol. 3, 31.3.
    """
}

extension Scene {
  /// Whether the command line asks for the CPUID flag hypervisor in words, as libvirt does when it copies a host's processor that has it.
  var asksForHypervisorFlag: Bool {
    guard let commandLine, commandLine.accelerators.contains(where: { $0 == .kvm }) else { return false }
    return commandLine.arguments.contains { $0.contains("hypervisor=on") || $0.contains("+hypervisor") }
  }
}
