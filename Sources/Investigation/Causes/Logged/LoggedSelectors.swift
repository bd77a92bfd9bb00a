import QEMU
import X86

/// `interrupt.pic-not-remapped` by the log: a device's interrupt on a vector of real mode, and no handler for it.
struct LoggedPICNotRemapped: CauseOfLoggedFault {
  private let fault: LoggedFault

  init?(_ fault: LoggedFault, in scene: Scene) {
    guard fault.isOfRealMode else { return nil }
    self.fault = fault
  }

  var id: String { PICNotRemapped.id }
  var title: String { PICNotRemapped.title }
  var confidence: Confidence { fault.isTripleFault ? .likely : .possible }

  var summary: String {
    let vector = fault.vector.rawValue
    let obstacle =
      fault.follower.map { follower in
        SelectorErrorCode(rawValue: follower.errorCode).namesGate
          ? "its IDT entry is no gate for it (\(follower.vector.name), \(follower.errorCode.hexadecimal))"
          : "\(follower.vector.name) came while it was being delivered"
      } ?? "nothing shows a handler for it"
    return
      "Hardware interrupt \(vector.hexadecimal) came\(fault.place). The PIC delivers its line \(vector - 8) there until it is set up anew; to protected mode it is the vector of \(fault.vector.name), and \(obstacle)."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "initialise both PICs (ICW1 to ICW4) with vectors from 20H and 28H on before STI, or mask all lines",
        "Vectors 0 to 31 belong to the processor.")
    ]
  }
}

/// `segment.bad-selector` or `interrupt.gate-selector` by the error code and the GDT of the dump beside it.
struct LoggedBadSelector: CauseOfLoggedFault {
  private let fault: LoggedFault
  private let selector: SegmentSelector
  /// The GDT whose limit the selector is beyond; nil where it is not known to be.
  private let table: DescriptorTableRegister?

  /// Without the GDT only a delivery tells what the selector was for.
  init?(_ fault: LoggedFault, in scene: Scene) {
    guard let selector = fault.selectorError?.selector else { return nil }
    (self.fault, self.selector, table) = (fault, selector, fault.selectorBeyondTable)
    guard table != nil || fault.interruptBefore != nil else { return nil }
  }

  private var isOfGate: Bool { fault.interruptBefore != nil }

  var id: String { isOfGate ? HandlerObstacle.gateSelector.rawValue : BadSelector.id }
  var title: String { isOfGate ? HandlerObstacle.gateSelector.title : BadSelector.title }
  var confidence: Confidence { fault.isTripleFault ? .likely : .possible }

  /// The code selectors of EDK2's GDT (``SoftwareObservations``).
  private var isOfFirmware: Bool { [0x28, 0x38].contains(selector.rawValue) }

  var summary: String {
    let what =
      "\(fault.vector.name)\(fault.place) names the selector \(selector.rawValue.hexadecimal)"
      + (table.map {
        ", which lies beyond the limit of the GDT in force, \($0.limit.hexadecimal) (base \($0.base.rawValue.hexadecimal))."
      } ?? ", whose entry cannot be used.")
    let place = fault.dump?[.idtr].map { ", at \($0.base.rawValue.hexadecimal)" } ?? ""
    let firmware =
      isOfFirmware
      ? " \(selector.rawValue.hexadecimal) is a code selector of UEFI firmware (EDK2): the IDT in force\(place), or a frame that is returned to, may still be the firmware's, while the GDT is not."
      : ""
    guard let interrupt = fault.interruptBefore else {
      return
        "\(what) Either the instruction there loads it, or a gate that it, or an exception of it, goes through has it.\(firmware)"
    }
    let isOfCode = table == nil && fault.codeSelector?.rawValue == selector.rawValue
    return
      "\(what) It came while interrupt \(interrupt.hexadecimal) of a device was being delivered: it is the code segment of that vector's gate\(table == nil ? ", and the entry is empty, is no code, or in long mode is not 64-bit code" : "")."
      + (isOfCode
        ? " CS has the same selector: what is in it was loaded from another table or entry, as where each processor's start-up code has a GDT of its own."
        : "") + firmware
  }

  var remedies: [Remedy] {
    [
      .guest(
        "load an IDT whose gates have selectors of this GDT together with the GDT, and keep interrupts off until then; check LGDT's limit, which counts the last byte",
        "A selector is the number of its entry times 8.")
    ]
  }
}
