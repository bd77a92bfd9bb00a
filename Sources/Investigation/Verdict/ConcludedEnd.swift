import KVM
import X86

extension Scene {
  /// That the guest asked for the reset it ended with; nil where nothing shows that.
  ///
  /// A triple fault that QEMU logged as well does not speak against it: under TCG the processor runs on for some
  /// instructions after the write to the port, and SeaBIOS raises an exception without an IDT there, in case the write
  /// does nothing (src/resume.c: tryReboot, 1.16; each warm reboot on the pc machine goes that way, measured with QEMU
  /// 7.2).
  /// Nor does an instruction behind it that must not be reached, such as UD2; a page that is not there does.
  func requestedReset(
    _ processor: ObservedProcessor?, _ reenacted: NextInstruction?, _ delivery: Delivery?
  ) -> Conclusion? {
    let isPageGone = reenacted?.certainException?.access != nil && delivery?.end == .tripleFault
    guard ending == .reset, !isPageGone, let port = resetPort(processor) else { return nil }
    return Conclusion(
      outcome: .ended,
      sentence: "The guest reset the machine through port \(port.hexadecimal), \(Self.name(ofResetPort: port)).")
  }

  /// What a guest did that turned the machine off; nil where neither the trace nor the instruction shows it.
  ///
  /// SLP_EN is bit 13 of PM1a_CNT, and SLP_TYP bits 10 to 12 (ACPI 6.4, 4.8.3.2.1); that QEMU took it for S5 shows that the port is
  /// that register's, wherever firmware put it.
  var powerOffWords: String? {
    guard let write = lastPortWrite(processors.first), let value = write.value, value & 1 << 13 != 0 else { return nil }
    return "through ACPI: it wrote \((value & 0xFFFF).hexadecimal) (SLP_EN, SLP_TYP \(value >> 10 & 7)) to port "
      + "\(write.port.hexadecimal), PM1a_CNT"
  }

  private static func name(ofResetPort port: UInt16) -> String {
    switch port {
    case 0x64: "the keyboard controller"
    case 0x92: "the chipset's fast reset"
    default: "the chipset's reset control register, which is ACPI's reset register, too, where the FADT names one"
    }
  }

  /// What the registers and the memory say of an end that nothing recorded.
  func concludedEnd(reenacted: NextInstruction?, delivery: Delivery?) -> Conclusion {
    guard ending == .reset else {
      let sentence =
        trace.isEmpty ? "Nothing here shows how the guest ended." : "The trace shows no death."
      return Conclusion(outcome: .undetermined, sentence: sentence)
    }
    if reenacted?.certainException != nil, delivery?.end == .tripleFault {
      return Conclusion(
        outcome: .died,
        sentence:
          "The guest was reset: its next instruction faults, and the fault cannot be delivered (a triple fault).",
        isTripleFault: true)
    }
    if logsTripleFaults {
      return Conclusion(outcome: .ended, sentence: "The guest reset the machine: QEMU logged no triple fault.")
    }
    return Conclusion(
      outcome: .undetermined,
      sentence: "The guest was reset. Whether it asked for that or died of a triple fault, nothing here tells.")
  }

  /// The port through which the guest reset the machine, where the trace or the instruction before RIP shows it.
  private func resetPort(_ processor: ObservedProcessor?) -> UInt16? {
    guard let write = lastPortWrite(processor), let value = write.value else { return nil }
    return Self.resets(write.port, UInt8(truncatingIfNeeded: value)) ? write.port : nil
  }

  /// The guest's last write to a port, as the trace or else the instruction at RIP shows it.
  private func lastPortWrite(_ processor: ObservedProcessor?) -> (port: UInt16, value: UInt64?)? {
    for record in trace.reversed() {
      guard case .portIO(true, let port, _, _, let value) = record.event else { continue }
      return (port, value.map { UInt64($0) })
    }
    guard let processor, let memory, let (port, isByte) = writtenPort(processor.state, in: memory) else { return nil }
    return (port, processor.state.generalPurpose.rax & (isByte ? 0xFF : 0xFFFF_FFFF))
  }

  /// Whether a write of `value` to `port` resets the machine: the same ports also have other uses, such as A20.
  ///
  /// 64H is the keyboard controller's command port, where an even F0H to FEH pulses the reset line; 92H the fast one,
  /// bit 0; CF9H the chipset's, bit 2 (QEMU 7.2 hw/input/pckbd.c: kbd_write_command, hw/isa/port92.c: port92_write,
  /// hw/isa/piix3.c: rcr_write, hw/isa/lpc_ich9.c: ich9_rst_cnt_write).
  private static func resets(_ port: UInt16, _ value: UInt8) -> Bool {
    switch port {
    case 0x64: value & 0xF1 == 0xF0
    case 0x92: value & 1 != 0
    case 0xCF9: value & 4 != 0
    default: false
    }
  }

  /// The port of the OUT that RIP stands at or right behind, and whether it writes AL alone; nil if it is no OUT or its bytes
  /// are not known.
  private func writtenPort(_ state: ProcessorState, in memory: some PhysicalMemory) -> (port: UInt16, isByte: Bool)? {
    let dx = UInt16(truncatingIfNeeded: state.generalPurpose.rdx)
    guard let around = NextInstruction.bytesAround(state, in: memory) else { return nil }
    var (before, after) = around
    // Under TCG the processor gets as far as the HLT that waits for the effect of the write.
    if state.isHalted == true, before.last == 0xF4 { before.removeLast() }
    if let last = before.last, last == 0xEE || last == 0xEF { return (dx, last == 0xEE) }
    if before.count >= 2, before[before.count - 2] == 0xE6 || before[before.count - 2] == 0xE7 {
      return (UInt16(before[before.count - 1]), before[before.count - 2] == 0xE6)
    }
    guard let first = after.first else { return nil }
    if first == 0xEE || first == 0xEF { return (dx, first == 0xEE) }
    return after.count >= 2 && (first == 0xE6 || first == 0xE7) ? (UInt16(after[1]), first == 0xE6) : nil
  }
}
