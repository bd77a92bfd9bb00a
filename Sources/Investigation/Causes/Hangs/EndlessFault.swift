import KVM
import QEMU
import X86

/// `hang.endless-fault`: the same instruction raises the same exception for ever.
struct EndlessFault: CauseOfHang, SingleCause {
  static let id = "hang.endless-fault"
  static let title = "The same fault again and again"

  /// How often it must have been seen to be called endless.
  private static let least = 64

  private let vector: ExceptionVector
  /// Nil where the trace does not show RIP.
  private let address: UInt64?
  private let count: Int
  private let source: Source

  let confidence = Confidence.proven

  init?(_ hang: Hang) {
    guard let found = Self.inLog(hang.scene.log) ?? Self.inTrace(hang.scene.trace), found.count >= Self.least else {
      return nil
    }
    (vector, address, count, source) = found
  }

  /// The last exception of a log of `-d int`, if all before it are the same.
  private static func inLog(_ log: [Sourced<QEMUMessage>]) -> (ExceptionVector, UInt64?, count: Int, Source)? {
    var found: (vector: ExceptionVector, address: UInt64?, count: Int, source: Source)?
    for entry in log.reversed() {
      guard case .interrupt(let interrupt) = entry.value, let counter = interrupt.programCounter else { continue }
      guard let last = found else {
        found = (interrupt.vector, counter, 1, entry.source)
        continue
      }
      guard interrupt.vector == last.vector, counter == last.address else { break }
      found?.count += 1
    }
    return found
  }

  /// The same of what KVM injected.
  private static func inTrace(_ trace: [KVMRecord]) -> (ExceptionVector, UInt64?, count: Int, Source)? {
    var found: (vector: ExceptionVector, address: UInt64?, count: Int, source: Source)?
    var rip: UInt64?
    for record in trace.reversed() {
      switch record.event {
      case .injectException(let vector, _, _):
        let source = Source.trace(event: "kvm_inj_exception", time: record.time)
        guard let last = found else {
          found = (vector, rip, 1, source)
          continue
        }
        guard vector == last.vector else { return found }
        found?.count += 1
      case .entry(_, let here): rip = here ?? rip
      case .exit(let exit): rip = exit.rip
      case .emulateInstruction(let emulation): rip = emulation.rip
      case .injectInterrupt, .portIO: return found
      default: continue
      }
    }
    return found
  }

  private var event: String { vector.name + (address.map { " at \($0.hexadecimal)" } ?? "") }

  var summary: String {
    "\(event) is raised again and again: its handler returns to the instruction without having mended what is "
      + "wrong."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "let the handler mend the reason (map the page), skip the instruction, or stop and report",
        "For a fault, the return address is the instruction that raised it.")
    ]
  }

  var evidence: [Evidence] { [Evidence("\(event) \(count) times in a row", source)] }
}

extension EndlessFault {
  static let manual = """
    The same instruction raises the same exception for ever. Its handler returns to it, and nothing has changed.

    ## How to recognise it

    The trace, or the log of `-d int`, shows one vector at one RIP, dozens of times in a row.

    ## Why

    A handler of #PF that does not map the page, or maps it in other tables than those in force, or does not flush the TLB after changing an
    entry that was present; a handler of #UD or #NM that does not skip or enable anything.

    ## The cure

    Mend the reason, step over the instruction, or report and stop.

    SDM vol. 3, 6.5, 4.10.4.
    """
}
