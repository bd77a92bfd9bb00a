import QEMU
import X86

/// `stack.overflow` by the log: the push of a frame fails, and again that of #DF's.
struct LoggedStackOverflow: CauseOfLoggedFault {
  private let fault: LoggedFault
  private let distance: UInt64

  init?(_ fault: LoggedFault, in scene: Scene) {
    guard fault.isTripleFault, let distance = fault.distanceBelowStack, let error = fault.pageFault,
      error.contains(.write),
      !error.contains(.present), !error.contains(.reserved)
    else { return nil }
    self.fault = fault
    self.distance = distance
  }

  var id: String { StackOverflow.id }
  var title: String { StackOverflow.title }

  private var hasSameStack: Bool {
    fault.follower?.vector == .doubleFault && fault.follower?.stackPointer == fault.stackPointer
  }

  var summary: String {
    let push =
      distance <= 16 ? "\(distance) bytes below the stack pointer: a push" : "\(distance) bytes below the stack pointer"
    let stack =
      hasSameStack
      ? " #DF could not be delivered either: most likely its gate has no stack of its own (IST), so that its frame had to go onto the same stack."
      : ""
    return
      "The write to \((fault.address ?? 0).hexadecimal), \(push), met a page that is not mapped: the stack has grown beyond its memory.\(stack) That is the triple fault."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find the recursion or the large frame, or give the stack more pages",
        "The page below the stack is not mapped; a guard page is there to catch this."),
      .guest(
        "give #DF (and #PF) a stack of its own: an IST entry of the TSS in long mode, a task gate otherwise",
        "Then the handler runs and can say what happened."),
    ]
  }
}

/// `paging.reserved-bit` by the error code alone.
struct LoggedReservedBit: CauseOfLoggedFault {
  private let fault: LoggedFault

  init?(_ fault: LoggedFault, in scene: Scene) {
    guard fault.pageFault?.contains(.reserved) == true else { return nil }
    self.fault = fault
  }

  var id: String { ReservedBit.id }
  var title: String { ReservedBit.title }
  var confidence: Confidence { fault.isTripleFault ? .likely : .possible }

  var summary: String {
    let what =
      fault.isFetch ? "The fetch of the instruction" : "The access to \(fault.address?.hexadecimal ?? "memory")"
    return
      "\(what)\(fault.place) met an entry of the page tables with a bit set that must be zero (RSVD, error code \((fault.errorCode ?? 0).hexadecimal)). Which bit, only the tables tell; where CR3\(fault.dump?[.cr3].map { " (\($0.hexadecimal))" } ?? "") points "
      + "to no tables at all, any may be."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "look at the entries of the walk (inquest walk ADDRESS on a dump of the memory), and whether CR3 is a table at all",
        "Mostly it is XD without EFER.NXE, a 1 GiB page without pdpe1gb, or an address above MAXPHYADDR.")
    ]
  }
}

/// `memory.non-canonical` by CR2: only TCG of some versions raises #PF there.
struct LoggedNonCanonicalAddress: CauseOfLoggedFault {
  private let fault: LoggedFault
  private let address: UInt64

  init?(_ fault: LoggedFault, in scene: Scene) {
    guard let address = fault.address, fault.mode == .long64,
      !Paging.isCanonical(LinearAddress(address), unusedBits: 7)
    else { return nil }
    self.fault = fault
    self.address = address
  }

  var id: String { NonCanonicalAddress.id }
  var title: String { NonCanonicalAddress.title }
  var confidence: Confidence { .possible }

  var summary: String {
    "CR2 \(address.hexadecimal) is not canonical: a processor raises #GP(0) there (#SS for the stack), never #PF, and has no error code \((fault.errorCode ?? 0).hexadecimal) for it. This QEMU's TCG raised #PF instead, a defect of its own; the guest's mistake is the pointer."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out where the pointer comes from: a value that was shifted or packed, an entry of a table read as a pointer",
        "The instruction\(fault.place) used it."),
      .host("another version of QEMU, or KVM", "They raise #GP, as a processor does."),
    ]
  }
}

/// `paging.not-present`, `paging.null-pointer` or `paging.code-not-mapped` by the error code and CR2.
struct LoggedMissingPage: CauseOfLoggedFault {
  private let fault: LoggedFault
  private let address: UInt64
  private let error: PageFaultErrorCode

  init?(_ fault: LoggedFault, in scene: Scene) {
    guard let address = fault.address, let error = fault.pageFault, error.isDisjoint(with: [.present, .reserved]),
      !fault.isImplicit
    else { return nil }
    self.fault = fault
    self.address = address
    self.error = error
  }

  private var isNull: Bool { address < 0x1000 && !fault.isFetch }

  var id: String { fault.isFetch ? CodeNotMapped.id : isNull ? NullPointer.id : PageNotMapped.id }
  var title: String { fault.isFetch ? CodeNotMapped.title : isNull ? NullPointer.title : PageNotMapped.title }
  var confidence: Confidence { fault.isTripleFault ? .likely : .possible }

  private var isVGA: Bool { PCMemory.vgaText.contains(address) }

  var summary: String {
    let who = error.contains(.user) ? "user" : "supervisor"
    let deed = fault.isFetch ? "instruction fetch" : error.contains(.write) ? "write" : "read"
    let place =
      isVGA
      ? ", in the VGA text buffer (b8000 to b8f9f, 80 by 25 characters)"
      : PCMemory.place(of: address).map { ", which if it is meant as a physical address is \($0)" } ?? ""
    return
      "The \(who) \(deed)\(fault.place) of \(address.hexadecimal)\(place) met a page that is not present (error code \((fault.errorCode ?? 0).hexadecimal)): the tables in force do not map it."
  }

  var remedies: [Remedy] {
    if isVGA {
      return [
        .guest(
          "map the VGA text buffer (b8000) in the tables that are in force, or print elsewhere",
          "The code and the stack are mapped, the buffer is not: a new page table holds only what was put into it.")
      ]
    }
    return [
      .guest(
        "map the address, or find out why it is used",
        "inquest walk \(address.hexadecimal) on a dump of the memory shows where the walk ends.")
    ]
  }
}

/// `arithmetic.divide-error` by its vector.
struct LoggedDivideError: CauseOfLoggedFault {
  private let fault: LoggedFault

  init?(_ fault: LoggedFault, in scene: Scene) {
    guard fault.vector == .divideError, fault.isTripleFault || fault.instruction?.isDivision == true else { return nil }
    self.fault = fault
  }

  var id: String { DivideError.id }
  var title: String { DivideError.title }

  var summary: String {
    let end =
      fault.isTripleFault
      ? " It had no handler, which makes it a triple fault, as in boot loaders and the first steps of kernels." : ""
    return
      "A division\(fault.place) failed (#DE): the divisor was 0, or the quotient too large.\(end) Where the divisor "
      + "is measured, as a calibration of the TSC is, it hangs on the clocks that QEMU and the host provide."
  }

  var remedies: [Remedy] {
    [.guest("check the divisor; a measured one may be 0", "Nothing promises that two reads of a clock differ.")]
  }
}
