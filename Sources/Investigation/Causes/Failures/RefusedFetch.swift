import GuestImage
import KVM
import X86

/// `paging.reserved-bit` by exclusion: an ordinary instruction that KVM had to emulate and could not even fetch.
struct RefusedFetch: CauseOfFailure {
  private let instruction: Instruction
  private let scene: Scene

  /// Nil unless paging is on with tables that may hold 1 GiB pages, the emulator has always known the instruction, and nothing says that
  /// the kernel is newer: since 5.16 the error comes with data, and since 5.14 KVM walks as the processor does.
  init?(_ failure: ReportedFailure) {
    guard let error = failure.internalError(.emulation), error.value.isEmpty, failure.scene.memory == nil,
      let state = failure.state, state.isLongModeActive, state.currentPrivilegeLevel != 3,
      failure.scene.decision(on: .pdpe1gb).isOn != true,
      let instruction = failure.next?.instruction, instruction.isPlainMove, !instruction.memoryOperands.isEmpty,
      failure.next?.certainException == nil
    else { return nil }
    if let linux = failure.scene.linux, linux >= SoftwareVersion(5, 14) { return nil }
    self.instruction = instruction
    scene = failure.scene
  }

  var id: String { ReservedBit.id }
  var title: String { ReservedBit.title }
  var confidence: Confidence { .possible }

  var summary: String {
    "`\(instruction.text)` is an instruction that KVM's emulator has always known, so what failed is most likely fetching it: KVM's own walk of RIP refuses what the processor's accepted. The known reason is a 1 GiB page (PS in a PDPTE) in a guest whose "
      + "CPUID does not announce pdpe1gb, which KVM takes for a reserved bit before Linux 5.14. The page tables or a trace of kvmmmu would prove it."
  }

  var remedies: [Remedy] {
    let guest = Remedy.guest(
      "ask CPUID 80000001H:EDX[26] before using 1 GiB pages, and map with 2 MiB pages where it is 0",
      "The guest then runs on every processor.")
    return scene.remedies(offering: .pdpe1gb, purpose: "1 GiB pages", fallback: guest)
  }
}
