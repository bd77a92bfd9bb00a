import QEMU
import X86

extension Scene {
  /// The pins of an I/O APIC that were level-triggered and asserted whenever the guest was looked at.
  ///
  /// QEMU and KVM deliver such an interrupt again at once, and after 10000 times in a row only 10 ms later, so that a guest that does
  /// not serve the device gets on slowly (hw/intc/ioapic.c: ioapic_eoi_broadcast, 7.2; arch/x86/kvm/ioapic.c:
  /// kvm_ioapic_update_eoi_one, 6.1). It does not stand still.
  var pinsNeverQuiet: [IOAPICPin] {
    guard watched.count >= WatchedMoment.leastLooks, let first = watched.first else { return [] }
    return first.pins.filter { pin in watched.allSatisfy { $0.pins.contains(pin) } && pin.isAsserted }
  }

  var interruptObservations: [Evidence] {
    pinsNeverQuiet.map { pin in
      Evidence(
        "Pin \(pin.number) of the I/O APIC (vector \(pin.vector.hexadecimal), level-triggered) was asserted at each of \(watched.count) looks: no "
          + "handler serves its device. QEMU and KVM deliver it again and again, and let the guest run for 10 ms after each 10000 times",
        .registers("monitor: info pic"))
    }
  }
}
