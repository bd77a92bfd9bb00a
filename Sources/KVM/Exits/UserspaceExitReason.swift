/// Why KVM_RUN returned to QEMU: KVM_EXIT_* of include/uapi/linux/kvm.h, Linux 6.19.
public struct UserspaceExitReason: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let unknown = Self(rawValue: 0)
  public static let exception = Self(rawValue: 1)
  public static let io = Self(rawValue: 2)
  public static let hypercall = Self(rawValue: 3)
  public static let debug = Self(rawValue: 4)
  public static let hlt = Self(rawValue: 5)
  public static let mmio = Self(rawValue: 6)
  public static let interruptWindowOpen = Self(rawValue: 7)
  /// A triple fault.
  public static let shutdown = Self(rawValue: 8)
  public static let failEntry = Self(rawValue: 9)
  public static let interrupted = Self(rawValue: 10)
  public static let nmi = Self(rawValue: 16)
  public static let internalError = Self(rawValue: 17)
  public static let watchdog = Self(rawValue: 21)
  public static let systemEvent = Self(rawValue: 24)
  public static let readMSR = Self(rawValue: 29)
  public static let writeMSR = Self(rawValue: 30)
  public static let busLock = Self(rawValue: 33)
  public static let notify = Self(rawValue: 37)
  public static let memoryFault = Self(rawValue: 39)

  /// `KVM_EXIT_SHUTDOWN`; nil for a number that Linux 6.19 does not define.
  public var name: String? { Self.names.name(of: rawValue) }

  /// The reason that the tracepoint prints as this name or, past its table's end at 30, as a hexadecimal number.
  init?(name: String) {
    if let value = Self.names.value(named: name) {
      rawValue = value
    } else if name.hasPrefix("0x"), let value = UInt32(name.dropFirst(2), radix: 16) {
      rawValue = value
    } else {
      return nil
    }
  }

  private static let names = NameTable(
    [
      "UNKNOWN", "EXCEPTION", "IO", "HYPERCALL", "DEBUG", "HLT", "MMIO", "IRQ_WINDOW_OPEN", "SHUTDOWN", "FAIL_ENTRY",
      "INTR", "SET_TPR", "TPR_ACCESS", "S390_SIEIC", "S390_RESET", "DCR", "NMI", "INTERNAL_ERROR", "OSI",
      "PAPR_HCALL", "S390_UCONTROL", "WATCHDOG", "S390_TSCH", "EPR", "SYSTEM_EVENT", "S390_STSI", "IOAPIC_EOI",
      "HYPERV", "ARM_NISV", "X86_RDMSR", "X86_WRMSR", "DIRTY_RING_FULL", "AP_RESET_HOLD", "X86_BUS_LOCK", "XEN",
      "RISCV_SBI", "RISCV_CSR", "NOTIFY", "LOONGARCH_IOCSR", "MEMORY_FAULT", "TDX", "ARM_SEA",
    ].enumerated().map { (UInt32($0.offset), "KVM_EXIT_\($0.element)") })
}

/// What KVM_EXIT_SYSTEM_EVENT reports: KVM_SYSTEM_EVENT_* of include/uapi/linux/kvm.h, Linux 6.19.
public enum SystemEventType: UInt32, Sendable {
  case shutdown = 1
  case reset = 2
  case crash = 3
  case wakeUp = 4
  case suspend = 5
  case sevTermination = 6
  case tdxFatal = 7
}
