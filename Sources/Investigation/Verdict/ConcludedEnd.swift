import KVM
import QEMU
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
    guard [.reset, .shutDown].contains(ending), !isPageGone, let (port, writer) = resetPort(processor) else {
      return nil
    }
    let place = "port \(port.hexadecimal), \(Self.name(ofResetPort: port))"
    let image = memory.flatMap { memory in writer.flatMap { EFIImage(at: $0.state, in: memory) } }
    guard let image else {
      return Conclusion(outcome: .ended, sentence: "The guest reset the machine through \(place).")
    }
    return Conclusion(
      outcome: .ended, sentence: "The guest reset the machine through \(place): \(image.words) wrote to it.",
      evidence: [image.evidence])
  }

  /// What a guest did that turned the machine off; nil where neither the trace nor the instruction shows it.
  ///
  /// SLP_EN is bit 13 of PM1a_CNT, and SLP_TYP bits 10 to 12 (ACPI 6.4, 4.8.3.2.1); that QEMU took it for S5 shows that the port is
  /// that register's, wherever firmware put it.
  var powerOffWords: String? {
    let seen = processors.first.flatMap(portWrite).map { ($0.port, Optional($0.value)) }
    guard let (port, written) = tracedPortWrite ?? seen, let value = written, value & 1 << 13 != 0 else { return nil }
    return "through ACPI: it wrote \((value & 0xFFFF).hexadecimal) (SLP_EN, SLP_TYP \(value >> 10 & 7)) to port "
      + "\(port.hexadecimal), PM1a_CNT"
  }

  /// That a guest which ended by itself was in EFI's ResetSystem, as a sentence of its own with a blank before it; else empty.
  var placeInFirmware: String {
    guard let memory,
      let image = processors.lazy.compactMap({ EFIImage(at: $0.state, in: memory) }).first(where: \.resetsSystem)
    else { return "" }
    return " It was in \(image.words)."
  }

  private static func name(ofResetPort port: UInt16) -> String {
    switch port {
    case 0x64: "the keyboard controller"
    case 0x92: "the chipset's fast reset"
    default: "the chipset's reset control register, which is ACPI's reset register, too, where the FADT names one"
    }
  }

  /// What the registers and the memory say of an end that nothing recorded.
  func concludedEnd(
    _ processor: ObservedProcessor?, reenacted: NextInstruction?, delivery: Delivery?
  ) -> Conclusion {
    if ending == .shutDown {
      return concludedShutdown(isTripleFault: reenacted?.certainException != nil && delivery?.end == .tripleFault)
    }
    guard ending == .reset else {
      if let processor, cannotGoOn(processor) {
        return Conclusion(
          outcome: .died,
          sentence:
            "The guest's next instruction faults, and the fault cannot be delivered (a triple fault): it stands where it died, or dies as soon as it goes on.",
          isTripleFault: true)
      }
      if let recordedShutdown { return recordedShutdown }
      return Conclusion(outcome: .undetermined, sentence: undeterminedEnd, isSilent: trace.isEmpty)
    }
    if reenacted?.certainException != nil, delivery?.end == .tripleFault {
      return Conclusion(
        outcome: .died,
        sentence:
          "The guest was reset: its next instruction faults, and the fault cannot be delivered (a triple fault).",
        isTripleFault: true)
    }
    if logsTripleFaults {
      return Conclusion(
        outcome: .ended, sentence: "The guest reset the machine: QEMU logged no triple fault.\(placeInFirmware)")
    }
    return unrequestedReset(processor, reenacted)
      ?? Conclusion(
        outcome: .undetermined,
        sentence: "The guest was reset. Whether it asked for that or died of a triple fault, nothing here tells.")
  }

  /// What a line tells of an end that may have been another's, or wanted.
  private var undeterminedEnd: String {
    if statement(.shutdownExit) != nil {
      return "A line tells of KVM_EXIT_SHUTDOWN: the guest met a triple fault, or reset itself by one."
    }
    if statement(.entryRefused) != nil { return "A line tells of KVM_EXIT_FAIL_ENTRY: KVM could not enter the guest." }
    if statement(.guestPanic) != nil { return "A Linux kernel panicked: the guest, if this is its console's text." }
    return trace.isEmpty ? "Nothing here shows how the guest ended." : "The trace shows no death."
  }

  /// A triple fault of which the trace, searched for it or cut, shows the processor's exit alone. What follows is always
  /// KVM_EXIT_SHUTDOWN, unless it was a guest of the guest (arch/x86/kvm/vmx/vmx.c: handle_triple_fault, svm/svm.c:
  /// shutdown_interception, 6.1).
  private var recordedShutdown: Conclusion? {
    guard !trace.contains(where: \.event.isNested) else { return nil }
    var last: [Int32?: KVMRecord] = [:]
    for record in trace where record.event.tellsWhoRuns { last[record.threadID] = record }
    let exits = last.values.filter { record in
      if case .exit(let exit) = record.event {
        exit.reasonName == "TRIPLE_FAULT" || exit.vendor != .vmx && exit.reasonName == "shutdown"
      } else {
        false
      }
    }
    guard let record = exits.max(by: { ($0.time ?? 0) < ($1.time ?? 0) }), case .exit(let exit) = record.event else {
      return nil
    }
    return Conclusion(
      outcome: .died, sentence: "The guest died of a triple fault.",
      evidence: [
        Evidence(
          "The processor left the guest at \(exit.rip.hexadecimal) with the reason \(exit.reasonName), and the trace has nothing behind it: a triple fault, of this guest or of one of its own",
          .trace(event: "kvm_exit", time: record.time))
      ], recordsTripleFault: true, isTripleFault: true)
  }

  /// Whether registers and memory of one dump, for which the guest stood still, leave the processor no way to go on, and it did not just ask for a
  /// reset.
  ///
  /// No dump shows EFER. Where NXE was not set, even fewer pages could be used.
  private func cannotGoOn(_ processor: ObservedProcessor) -> Bool {
    guard case .file = processor.source, ending == .unknown, trace.isEmpty, log.allSatisfy(\.value.isOfStart),
      memory != nil,
      processors.allSatisfy({ portWrite(of: $0) == nil })
    else { return false }
    var lenient = processor
    if processor.state.efer == nil {
      lenient.state.efer = processor.state.mode == .long64 ? [.longModeEnable, .longModeActive] : []
      lenient.state.efer?.insert(.executeDisableEnable)
    }
    let (next, delivery) = reenact(lenient)
    return next.certainException != nil && delivery?.end == .tripleFault
  }

  /// What the registers say where QEMU had shut down: a guest that wrote to a port before may have asked for that, by a way that is not
  /// known here.
  private func concludedShutdown(isTripleFault: Bool) -> Conclusion {
    guard isTripleFault, processors.allSatisfy({ portWrite(of: $0) == nil }) else {
      return Conclusion(
        outcome: .undetermined,
        sentence:
          "QEMU had shut the guest down. Whether it reset or turned off the machine or died of a triple fault, nothing here tells."
      )
    }
    return Conclusion(
      outcome: .died,
      sentence:
        "QEMU had shut the guest down: its next instruction faults, and the fault cannot be delivered (a triple fault).",
      isTripleFault: true)
  }

  /// The port through which the guest reset the machine, where the trace or the instruction before RIP shows it, and who wrote to it, where
  /// that is known.
  private func resetPort(_ processor: ObservedProcessor?) -> (port: UInt16, writer: ObservedProcessor?)? {
    if let write = tracedPortWrite {
      guard let value = write.value, Self.resets(write.port, UInt8(truncatingIfNeeded: value)) else { return nil }
      // Which processor a thread runs is not traced.
      return (write.port, processors.count == 1 ? processor : nil)
    }
    for writer in [processor].compactMap(\.self) + processors {
      guard let write = portWrite(of: writer), Self.resets(write.port, UInt8(truncatingIfNeeded: write.value)) else {
        continue
      }
      return (write.port, writer)
    }
    return nil
  }

  /// The guest's last write to a port that was traced; nil also where later ones may be missing.
  private var tracedPortWrite: (port: UInt16, value: UInt64?)? {
    guard lostEvents?.areAllPlaced != false else { return nil }
    for record in traceSinceLoss.reversed() {
      guard case .portIO(true, let port, _, _, let value) = record.event else { continue }
      return (port, value.map { UInt64($0) })
    }
    return nil
  }

  private func portWrite(of processor: ObservedProcessor) -> PortWrite? {
    memory.flatMap { PortWrite(of: processor.state, in: $0) }
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
}

extension KVMEvent {
  /// Whether the processor enters or leaves the guest there, or KVM returns to userspace.
  fileprivate var tellsWhoRuns: Bool {
    switch self {
    case .entry, .exit, .userspaceExit: true
    default: false
    }
  }
}

extension QEMUMessage {
  /// Whether it says only with what the guest was started.
  fileprivate var isOfStart: Bool {
    switch self {
    case .commandLine, .multibootHeader, .symbol, .processorListing: true
    default: false
    }
  }
}
