/// Constants that print formats of KVM name and only the kernel's headers define.
///
/// The kernel replaces the names of an enumeration by their values where an event asks for it (TRACE_DEFINE_ENUM); these
/// do not. What is not here is printed as a number.
enum KernelConstants {
  static let values: [String: UInt64] = {
    // arch/x86/include/asm/kvm_host.h: enum kvm_apicv_inhibit, which is named in formats since Linux 6.10 and has kept
    // its order (6.18).
    let inhibitions = [
      "DISABLED", "HYPERV", "ABSENT", "BLOCKIRQ", "PHYSICAL_ID_ALIASED", "APIC_ID_MODIFIED", "APIC_BASE_MODIFIED",
      "NESTED", "IRQWIN", "PIT_REINJ", "SEV", "LOGICAL_ID_ALIASED", "PHYSICAL_ID_TOO_BIG",
    ]
    var values: [String: UInt64] = [:]
    for (value, name) in inhibitions.enumerated() { values["APICV_INHIBIT_REASON_\(name)"] = UInt64(value) }
    // SDM volume 3, VM-instruction error numbers; arch/x86/include/asm/vmx.h: enum vm_instruction_error_number (6.18).
    for (value, name) in [
      (4, "VMLAUNCH_NONCLEAR_VMCS"), (5, "VMRESUME_NONLAUNCHED_VMCS"), (6, "VMRESUME_AFTER_VMXOFF"),
      (7, "ENTRY_INVALID_CONTROL_FIELD"), (8, "ENTRY_INVALID_HOST_STATE_FIELD"),
      (26, "ENTRY_EVENTS_BLOCKED_BY_MOV_SS"),
    ] as [(UInt64, String)] { values["VMXERR_\(name)"] = value }
    return values
  }()
}
