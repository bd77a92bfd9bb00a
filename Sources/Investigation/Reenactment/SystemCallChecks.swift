import GuestImage
import X86

extension InstructionChecks {
  /// SYSENTER, SYSEXIT and SYSCALL. Their MSRs are in no register dump, so what hangs on those is a condition. An entry point that is not
  /// canonical is refused by WRMSR, or by the fetch, and never by SYSENTER itself.
  mutating func checkSystemCall() {
    switch instruction.mnemonic {
    case "sysenter": checkFastCall()
    case "sysexit":
      checkFastCall()
      guard state.mode == .long64, instruction.operandWidth == 64, let paging = instant.paging else { return }
      for target in [state.generalPurpose.rdx, state.generalPurpose.rcx]
      where exceptions.last?.isCertain != true && !paging.isCanonical(LinearAddress(target)) {
        raise(.generalProtection(.notCanonical(LinearAddress(target))))
      }
    case "syscall": checkSyscallMode()
    default: break
    }
  }

  /// SDM vol. 2, SYSENTER and SYSEXIT: #GP in real mode, or where IA32_SYSENTER_CS names no segment. APM vol. 3: on AMD's processors there are none in
  /// long mode. TCG: translate.c and seg_helper.c, helper_sysenter, 7.2.
  private mutating func checkFastCall() {
    if state.mode == .real { return raise(.generalProtection(.notInThisMode)) }
    if state.isLongModeActive, instant.isAMD != false {
      let condition = instant.isAMD == true ? nil : "the processor is AMD's, which has none of these in long mode"
      raise(RaisedException(.invalidOpcode, .notInThisMode, if: condition))
      if condition == nil { return }
    }
    raise(
      .generalProtection(
        .systemCallNotSetUp, if: "IA32_SYSENTER_CS (MSR 174H) holds a null selector, as after a reset"))
  }

  /// Intel's processors have SYSCALL in 64-bit mode only (SDM vol. 2, SYSCALL); AMD's, and TCG, wherever EFER.SCE is set.
  private mutating func checkSyscallMode() {
    guard state.mode != .long64, instant.executor != .tcg, instant.isAMD != true else { return }
    raise(
      RaisedException(
        .invalidOpcode, .notInThisMode,
        if: instant.isAMD == false ? nil : "the processor is Intel's, which has SYSCALL in 64-bit mode only"))
  }
}
