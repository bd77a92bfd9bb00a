/// Why the processor did not enter the guest: hardware_entry_failure_reason of KVM_EXIT_FAIL_ENTRY, which QEMU prints as "hardware error".
/// Its number is of one of three kinds.
public enum EntryFailure: Hashable, Sendable {
  /// Intel: VMLAUNCH or VMRESUME itself failed, with this VM-instruction error (SDM vol. 3, table 30-1); the guest's state was not
  /// looked at.
  case instructionError(UInt32)
  /// Intel: the entry began and failed, with this basic exit reason: 33, 34 or 41 (SDM vol. 3, 26.8).
  case failedEntry(exitReason: UInt32)
  /// AMD: VMRUN found state or controls that it does not accept, VMEXIT_INVALID, exit code -1 (APM vol. 2, 15.5.1).
  case invalidVMCB
  /// 0: VMLAUNCH or VMRESUME failed and left no number. KVM gives VM_INSTRUCTION_ERROR of the VMCS for a failed instruction and nothing else
  /// that can be 0 (arch/x86/kvm/vmx/vmx.c: __vmx_handle_exit, 3.x to 6.19); VMfailInvalid, no current VMCS, leaves that field as it
  /// was (SDM vol. 3, 30.2).
  case failedWithoutNumber
  /// None of these.
  case unknown(UInt64)

  /// - Parameter hardwareError: The number as QEMU prints it; KVM on AMD gives -1 as 32 or as 64 bits.
  public init(hardwareError number: UInt64) {
    if number == 0 {
      self = .failedWithoutNumber
    } else if number == 0xFFFF_FFFF || number == .max {
      self = .invalidVMCB
    } else if number >> 31 == 1 {
      self = .failedEntry(exitReason: UInt32(truncatingIfNeeded: number) & 0xFFFF)
    } else if let number = UInt32(exactly: number), Self.instructionErrors[number] != nil {
      self = .instructionError(number)
    } else {
      self = .unknown(number)
    }
  }

  /// What the number means, as a sentence without its end.
  public var meaning: String {
    switch self {
    case .instructionError(let number):
      "it is Intel's VM-instruction error \(number), \(Self.instructionErrors[number] ?? "unknown") (SDM vol. 3, 30.4): the "
        + "instruction that enters the guest failed, before it looked at the guest's state"
    case .failedEntry(33):
      "it is exit reason 33 (bit 31 marks a failed VM entry): Intel's processor found the guest's state invalid (SDM vol. 3, 26.3.1)"
    case .failedEntry(34):
      "it is exit reason 34 (bit 31 marks a failed VM entry): an MSR of the VM-entry load list was refused"
    case .failedEntry(41):
      "it is exit reason 41 (bit 31 marks a failed VM entry): a machine check came during the VM entry"
    case .failedEntry(let reason): "it is exit reason \(reason) with bit 31, a failed VM entry on Intel"
    case .invalidVMCB:
      "it is -1, AMD's VMEXIT_INVALID: VMRUN found the guest's state or the controls in the VMCB illegal (APM vol. 2, 15.5.1)"
    case .failedWithoutNumber:
      "Intel's VMLAUNCH or VMRESUME itself failed and left no VM-instruction error, as where no VMCS is current (SDM vol. 3, 30.2): the guest's state was not looked at. That is between the host's KVM and its "
        + "processor, or the hypervisor below it where the host is itself a guest"
    case .unknown: "it is no VM-instruction error, no exit reason and not AMD's -1"
    }
  }

  /// SDM vol. 3, table 30-1.
  private static let instructionErrors: [UInt32: String] = [
    1: "VMCALL executed in VMX root operation", 2: "VMCLEAR with an invalid physical address",
    3: "VMCLEAR with the VMXON pointer", 4: "VMLAUNCH with a VMCS that is not clear",
    5: "VMRESUME with a VMCS that was not launched", 6: "VMRESUME after VMXOFF",
    7: "VM entry with invalid control fields", 8: "VM entry with invalid host-state fields",
    9: "VMPTRLD with an invalid physical address", 10: "VMPTRLD with the VMXON pointer",
    11: "VMPTRLD with an incorrect VMCS revision identifier", 12: "VMREAD or VMWRITE of an unsupported VMCS component",
    13: "VMWRITE to a read-only VMCS component", 15: "VMXON executed in VMX root operation",
    16: "VM entry with an invalid executive-VMCS pointer", 17: "VM entry with an executive VMCS that was not launched",
    18: "VM entry with an executive-VMCS pointer that is not the VMXON pointer",
    19: "VMCALL with a VMCS that is not clear", 20: "VMCALL with invalid VM-exit control fields",
    22: "VMCALL with an incorrect MSEG revision identifier", 23: "VMXOFF under the dual-monitor treatment",
    24: "VMCALL with invalid SMM-monitor features",
    25: "VM entry with invalid VM-execution control fields in the executive VMCS",
    26: "VM entry with events blocked by MOV SS", 28: "INVEPT or INVVPID with an invalid operand",
  ]
}
