import KVM
import X86

/// `interrupt.delivery-to-device`: what an event's delivery reads or writes lies in device memory.
struct DeliveryToDevice: CauseOfFailure, SingleCause {
  static let id = "interrupt.delivery-to-device"
  static let title = "An exception or interrupt is delivered through device memory"

  private let delivery: InterruptedDelivery
  private let address: UInt64?
  private let state: ProcessorState?

  init?(_ failure: ReportedFailure) {
    guard let delivery = failure.interruptedDelivery, delivery.event.isValid || delivery.exit == .nestedPageFault else {
      return nil
    }
    self.delivery = delivery
    state = failure.state
    let fourth = delivery.data[3].flatMap { $0 == .max ? nil : $0 }
    address = delivery.data[4] != nil || delivery.exit == .eptMisconfiguration ? fourth : nil
    switch delivery.exit {
    case .eptMisconfiguration, .nestedPageFault: break
    case .eptViolation where address != nil: break
    default: return nil
    }
    // Where every PC has RAM no stack or table is in the wrong place: what KVM has there is the host's doing.
    if let address, PCMemory.conventional.contains(address) { return nil }
  }

  private static let anyPart = "the stack, the IDT, the GDT or the TSS"

  /// What of the delivery lies there, as far as the registers tell.
  private var part: String { knownPart ?? Self.anyPart }

  private var knownPart: String? {
    guard let state, let address else { return nil }
    let stack = state.stackAddress
    let pages = [
      ("the stack (ESP is \(stack.hexadecimal))", stack), ("the stack (ESP is \(stack.hexadecimal))", stack &- 8),
      ("the IDT", state.idtr.base.rawValue), ("the GDT", state.gdtr.base.rawValue), ("the TSS", state.tr.base),
    ]
    // With paging the page's offset is all that linear and physical addresses have in common, but for what is mapped to itself or by a
    // fixed distance.
    let candidates = pages.filter { page in
      state.cr0.contains(.paging)
        ? (page.1 & 0x3FFF_FFFF) >> 12 == (address & 0x3FFF_FFFF) >> 12 : page.1 >> 12 == address >> 12
    }
    return candidates.first?.0
  }

  var summary: String {
    let place =
      address.map { " at guest-physical \($0.hexadecimal)\(PCMemory.place(of: $0).map { ", in \($0)" } ?? "")" } ?? ""
    return
      "While \(delivery.eventName) was being delivered, the processor came upon what KVM takes for device memory\(place): \(part) lies there, where the guest has no RAM. KVM cannot emulate a delivery and gave up (suberror 3)."
  }

  /// A device's window is proof by itself; elsewhere a register has to lead there.
  var confidence: Confidence {
    knownPart != nil || address.map { PCMemory.place(of: $0) != nil } == true ? .likely : .possible
  }

  var evidence: [Evidence] { delivery.evidence }

  var remedies: [Remedy] {
    [
      .guest(
        "find out how the stack pointer, or the table's address, came to be there: a stack that ran down through memory, a pointer that was overwritten, a stack placed beyond RAM",
        "IDT, GDT, TSS and stacks must be in RAM.")
    ]
  }

  static let manual = """
    Delivering an exception or interrupt reads the IDT and the GDT, perhaps the TSS, and writes the stack. If one of them is where there is
    no RAM, the VGA's window or a device, KVM would have to emulate the delivery, which it cannot: `KVM internal error. Suberror: 3`.

    ## How to recognise it

    data[0] is the event, data[1] 31 (EPT misconfiguration) or 30 (EPT violation), and data[3], where the kernel gives it, the
    guest-physical address. Compare it with RSP, and with the bases of IDT, GDT and TSS.

    ## Why

    A stack pointer that is wrong: overwritten, or grown down below its memory and through what lies below, into the hole from A0000H to
    BFFFFH. Or a table put there.

    ## The cure

    Stacks in RAM, with a guard page below.

    Linux arch/x86/kvm/vmx/vmx.c: __vmx_handle_exit, 6.1.
    """
}
