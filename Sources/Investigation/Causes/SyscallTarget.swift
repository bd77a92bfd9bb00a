import GuestImage
import X86

/// `syscall.not-set-up`: SYSCALL went to an address that nobody set.
struct SyscallTarget: CauseOfDeath, SingleCause {
  static let id = "syscall.not-set-up"
  static let title = "SYSCALL goes where nothing is"

  private let fault: FirstFault
  private let target: UInt64

  /// SYSCALL leaves the address behind it in RCX and RFLAGS in R11 (SDM vol. 2, SYSCALL).
  init?(_ fault: FirstFault, in scene: Scene) {
    guard let instant = fault.instant, instant.state.mode == .long64, fault.isOfFetch else { return nil }
    let origin = instant.state.generalPurpose.rcx
    let flags = instant.state.generalPurpose.r11
    guard flags & 2 != 0, flags & ~0x3F_7FD7 == 0 else { return nil }
    if scene.memory == nil {
      let bytes = scene.codeAsListed(at: origin &- 2)?.prefix(2)
      guard bytes.map({ Array($0) == [0x0F, 0x05] }) ?? Self.isEmpty(instant.state.rip), Self.isEntered(instant.state)
      else { return nil }
    } else {
      let bytes = instant.bytes(at: LinearAddress(origin &- 2), count: 2, for: PageAccess(.read, by: .supervisor))
      guard bytes == [0x0F, 0x05], !Self.isCalled(instant) else { return nil }
    }
    self.fault = fault
    target = instant.state.rip
  }

  /// Whether CS, SS and RFLAGS are as SYSCALL makes them: flat segments, the selectors 8 apart, and no flag that R11 lacks.
  private static func isEntered(_ state: ProcessorState) -> Bool {
    let hasFlatSegments = [state.cs, state.ss].allSatisfy { $0.base == 0 && $0.limit == 0xFFFF_FFFF }
    let code = state.cs.selector.rawValue
    return hasFlatSegments && state.currentPrivilegeLevel == 0 && code & 3 == 0 && code <= 0xFFF0
      && state.ss.selector.rawValue == code + 8 && state.generalPurpose.rcx != 0
      && state.rflags.rawValue & ~(state.generalPurpose.r11 | 2) == 0
  }

  /// Whether it is what an MSR holds that nobody wrote.
  private static func isEmpty(_ target: UInt64) -> Bool { target == 0 }

  /// The registers may be left over from a system call whose handler jumped here.
  var isDecided: Bool { false }

  /// Whether a call led here instead: its return address is on top of the stack, right behind a CALL.
  private static func isCalled(_ instant: Instant) -> Bool {
    let access = PageAccess(.read, by: .supervisor)
    let top = instant.bytes(at: LinearAddress(instant.state.generalPurpose.rsp), count: 8, for: access)
    guard top.count == 8 else { return false }
    let address = UInt64(littleEndian: top[...])
    return (2...7).contains { length in
      let start = address &- UInt64(length)
      let bytes = instant.bytes(at: LinearAddress(start), count: length, for: access)
      guard let call = try? Instruction.decode(bytes, at: start, mode: instant.state.mode) else { return false }
      return call.mnemonic == "call" && call.length == length
    }
  }

  var summary: String {
    let origin = (fault.state?.generalPurpose.rcx ?? 0) &- 2
    let why = target == 0 ? "LSTAR (MSR C0000082H) was never set" : "LSTAR (MSR C0000082H) holds a wrong address"
    return
      "SYSCALL at \(origin.hexadecimal) went to \(target.hexadecimal), where no code can be fetched: \(why). RCX and R11 still hold what "
      + "SYSCALL puts there."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "write the entry's address to LSTAR and the selectors to STAR (MSR C0000081H) on each processor, before EFER.SCE is set",
        "SYSCALL checks nothing.")
    ]
  }

  static let manual = """
    SYSCALL loads RIP from IA32_LSTAR and CS from IA32_STAR without looking at either. If nobody wrote LSTAR, the program's first system
    call jumps to 0.

    ## How to recognise it

    RIP is 0 or of no use, CPL is 0; RCX is the address behind a SYSCALL instruction (0F 05), R11 looks like RFLAGS. SYSCALL changes
    neither RSP nor SS's base: the kernel runs on the program's stack.

    SYSENTER and SYSEXIT do look: #GP with error code 0 at the instruction if IA32_SYSENTER_CS (MSR 174H) names no segment.

    ## The cure

    STAR, LSTAR and FMASK on each processor, then EFER.SCE. For SYSENTER, MSRs 174H to 176H.

    SDM vol. 2, SYSCALL and SYSENTER; vol. 3, 5.8.7 and 5.8.8.
    """
}

extension FirstFault {
  /// Whether it is the next instruction itself that cannot be fetched.
  var isOfFetch: Bool {
    switch exception.reason {
    case .access(let access): access.access.kind == .fetch && access.address == state?.instructionAddress
    case .notCanonical(let address): address == state?.instructionAddress
    default: false
    }
  }
}
