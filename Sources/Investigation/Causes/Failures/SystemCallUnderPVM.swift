import X86

/// `emulation.system-call`: kvm_pvm began a program's SYSCALL and did not finish it.
struct SystemCallUnderPVM: CauseOfFailure, SingleCause {
  static let id = "emulation.system-call"
  static let title = "kvm_pvm does not carry out SYSCALL of a program"

  private let call: LinearAddress
  private let target: LinearAddress
  private let source: Source

  /// Nil unless RCX, R11 and RIP are as SYSCALL leaves them, CPL is still 3, and the instruction at RIP can raise nothing.
  init?(_ failure: ReportedFailure) {
    guard failure.scene.host.vendorModule?.value == "kvm_pvm", let processor = failure.processor,
      let next = failure.next, next.exceptions.isEmpty, next.doubt == nil
    else { return nil }
    let state = processor.state
    guard state.mode == .long64, state.currentPrivilegeLevel == 3, state.rip != state.generalPurpose.rcx,
      state.rflags.rawValue == state.generalPurpose.r11
    else { return nil }
    call = LinearAddress(state.generalPurpose.rcx &- 2)
    let bytes = failure.scene.instant(of: processor).bytes(at: call, count: 2, for: PageAccess(.fetch, by: .user))
    guard bytes == [0x0F, 0x05] else { return nil }
    target = state.instructionAddress
    source = processor.source
  }

  var summary: String {
    "SYSCALL at \(call.rawValue.hexadecimal) set RCX, R11 and RIP (\(target.rawValue.hexadecimal)), and CPL is still 3: a processor loads CS and SS as well. "
      + "kvm_pvm lets programs run by themselves and does not finish their SYSCALL: a guest that has set it up rightly is shut down as well."
  }

  var remedies: [Remedy] {
    [
      .host(
        "run the guest under TCG (-accel tcg), or on kvm_intel or kvm_amd",
        "There SYSCALL does what the manual says: if it is not set up, that is the next thing the guest dies of.")
    ]
  }

  var evidence: [Evidence] {
    [Evidence("RCX points behind the SYSCALL, R11 equals RFLAGS, and CS and SS are still of CPL 3", source)]
  }

  static let manual = """
    kvm_pvm emulates a guest's kernel and lets its programs run by themselves. A program's SYSCALL is begun and not finished, unless the guest's
    kernel was made for PVM, and the guest is shut down.

    ## How to recognise it

    RCX is the address behind a SYSCALL instruction (0F 05), R11 equals RFLAGS, RIP is what LSTAR holds, but CPL is 3. A processor loads CS and
    SS from STAR.

    ## Why

    Measured with Linux 6.18: a guest with STAR, LSTAR and EFER.SCE as they should be ends in the same way, with KVM_EXIT_SHUTDOWN.

    ## The cure

    Another accelerator. Whether the guest set SYSCALL up rightly does not show here.

    SDM vol. 2, SYSCALL.
    """
}
