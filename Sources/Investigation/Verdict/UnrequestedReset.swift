import GuestImage
import QEMU
import X86

extension Scene {
  /// That a reset of which nothing was recorded is most likely a triple fault: the one processor there is stands where it cannot have asked
  /// for a reset, and where it may meet what it cannot survive. Nil where either is not so.
  ///
  /// KVM leaves RIP at the instruction whose exit makes QEMU stop the virtual machine, or right behind it; TCG runs on for some
  /// instructions (accel/kvm/kvm-all.c: kvm_cpu_exec, softmmu/runstate.c: qemu_system_reset_request, 7.2).
  func unrequestedReset(_ processor: ObservedProcessor?, _ next: NextInstruction?) -> Conclusion? {
    guard ending == .reset, accelerator?.value == .kvm, processors.count == 1, let processor, let next,
      !ResetObservations.isReset(processor.state), !hasOtherWaysToReset, !mayHaveAskedForReset(processor.state, next),
      mayTripleFault(processor, next)
    else { return nil }
    return Conclusion(
      outcome: .died,
      sentence:
        "The guest was reset, and the code at RIP does not ask for that: most likely it died of a triple fault.",
      isSupposedTripleFault: true)
  }

  /// A watchdog resets by itself; microvm's registers for a reset are in memory (hw/acpi/generic_event_device.c, 7.2).
  private var hasOtherWaysToReset: Bool {
    guard let commandLine else { return true }
    let devices = commandLine.options.filter { ["device", "watchdog", "global", "readconfig"].contains($0.name) }
    return commandLine.machineType?.hasPrefix("microvm") == true
      || devices.contains { option in
        option.name == "watchdog" || option.name == "readconfig"
          || ["i6300esb", "ib700", "ICH9-LPC.noreboot"].contains { option.value?.hasPrefix($0) == true }
      }
  }

  /// Whether the instruction at RIP or the one before it is a write to a port, or to an MSR or a hypercall that a hypervisor's interface
  /// may take for a request; also where the code is not known.
  private func mayHaveAskedForReset(_ state: ProcessorState, _ next: NextInstruction) -> Bool {
    guard let memory, state.isInSMM != true, let around = NextInstruction.bytesAround(state, in: memory) else {
      return true
    }
    let isOut = next.instruction?.mnemonic.hasPrefix("out") == true || around.before.last.map(Self.isOutString) == true
    return isOut || PortWrite(of: state, in: memory) != nil
      || [[0x0F, 0x30], [0x01, 0xC1], [0x01, 0xD9]].contains { around.before.suffix(2) == $0[...] }
      || EFIImage(at: state, in: memory)?.resetsSystem == true
  }

  /// OUTS (SDM vol. 2).
  private static func isOutString(_ opcode: UInt8) -> Bool { opcode == 0x6E || opcode == 0x6F }

  /// Whether an exception that the next instruction may raise, or an interrupt, ends in a triple fault.
  private func mayTripleFault(_ processor: ObservedProcessor, _ next: NextInstruction) -> Bool {
    guard next.doubt == nil, processor.knowsTables else { return false }
    let instant = instant(of: processor)
    return next.exceptions.contains { Delivery(of: $0.vector, at: instant).end == .tripleFault }
      || InterruptByExclusion(of: processor, next: next, in: self) != nil
      || SystemCallUnderPVM(ReportedFailure(scene: self, processor: processor, next: next)) != nil
  }
}
