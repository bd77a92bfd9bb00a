import QEMU
import X86

/// An exception or interrupt of a log of `-d int`, with the registers that it found.
struct LoggedDelivery {
  var interrupt: InterruptLog
  /// The linear address of the interrupted instruction.
  var pointer: UInt64
  /// Whether TCG announced it as a device's (`Servicing hardware INT=0x24`).
  var isOfDevice: Bool
  /// Nil where the dump is not there.
  var registers: GeneralPurposeRegisters?
  var source: Source

  /// All of a log whose lines are whole; the last one's registers may be cut off, and it is left out then.
  static func all(in log: [Sourced<QEMUMessage>]) -> [LoggedDelivery] {
    var deliveries: [LoggedDelivery] = []
    var announced: UInt8?
    for entry in log {
      switch entry.value {
      case .hardwareInterrupt(let vector, _): announced = vector
      case .interrupt(let interrupt):
        defer { announced = nil }
        guard let pointer = interrupt.programCounter else { continue }
        let isOfDevice = interrupt.vector.rawValue == announced
        deliveries.append(
          LoggedDelivery(interrupt: interrupt, pointer: pointer, isOfDevice: isOfDevice, source: entry.source))
      case .registerDump(let dump):
        guard let last = deliveries.indices.last, deliveries[last].registers == nil else { continue }
        deliveries[last].registers = dump.state?.generalPurpose
      default: continue
      }
    }
    let isCut = deliveries.last?.registers == nil && deliveries.first?.registers != nil
    return isCut ? deliveries.dropLast() : deliveries
  }
}
