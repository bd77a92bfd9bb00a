public import X86

/// One KVM event of a trace, with when and where it happened.
public struct KVMRecord: Hashable, Sendable {
  /// Nanoseconds on the trace's clock; nil where a pasted line has no time.
  public var time: UInt64?
  /// The host CPU; nil where the trace does not show it.
  public var cpu: Int?
  /// The name of the thread that was running.
  public var task: String?
  /// The thread that was running: a vCPU's thread for most events.
  public var threadID: Int32?
  public var event: KVMEvent

  public init(time: UInt64?, cpu: Int?, task: String?, threadID: Int32?, event: KVMEvent) {
    self.time = time
    self.cpu = cpu
    self.task = task
    self.threadID = threadID
    self.event = event
  }
}

/// What a kvm or kvmmmu tracepoint says (arch/x86/kvm/trace.h, mmu/mmutrace.h, include/trace/events/kvm.h).
///
/// A field that some kernels do not record is optional.
public enum KVMEvent: Hashable, Sendable {
  /// kvm_entry: the vCPU is about to run the guest.
  case entry(vcpu: Int?, rip: UInt64?)
  /// kvm_exit: the vCPU left the guest.
  case exit(KVMExit)
  /// kvm_page_fault: an intercepted #PF, an EPT violation or a nested page fault.
  case pageFault(address: UInt64, errorCode: UInt64, rip: UInt64?)
  /// kvm_inj_exception: KVM itself puts an exception into the guest.
  case injectException(vector: ExceptionVector, errorCode: UInt32?, isReinjected: Bool)
  /// kvm_mmu_pagetable_walk: KVM begins to walk the guest's tables for this access.
  case pagetableWalk(address: LinearAddress, access: PageFaultErrorCode)
  /// kvm_mmu_paging_element: the entry that the walk read at this level (4 is the PML4).
  case pagingElement(entry: UInt64, level: Int)
  /// kvm_mmu_walker_error: the walk failed; this is the #PF error code that results.
  case walkerError(PageFaultErrorCode)
  /// kvm_emulate_insn: the emulator decoded an instruction, or failed to emulate it.
  case emulateInstruction(KVMEmulation)
  /// kvm_userspace_exit: KVM_RUN returns to QEMU.
  case userspaceExit(reason: UserspaceExitReason, errno: Int32?)
  /// kvm_cr: a control-register access that KVM intercepts. Intel's is traced before the value is checked.
  case controlRegister(isWrite: Bool, number: Int, value: UInt64)
  /// kvm_msr.
  case msr(isWrite: Bool, index: UInt32, value: UInt64, faulted: Bool)
  /// kvm_cpuid: what the guest was told.
  case cpuid(function: UInt32, index: UInt32?, eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32, found: Bool?)
  /// kvm_pio: the first item of a port access.
  case portIO(isWrite: Bool, port: UInt16, size: Int, count: Int, value: UInt32?)
  /// kvm_mmio.
  case mmio(KVMMMIO)
  /// Any other event, kept by name.
  case other(name: String, text: String)
  /// A line or record that bears an event's name and could not be decoded, with the reason.
  case undecodable(name: String, reason: String)
}

/// kvm_exit, whose fields mean different things for each vendor.
public struct KVMExit: Hashable, Sendable {
  /// The instruction set extension that `reason` belongs to; nil where the trace shows only a name.
  public enum Vendor: Hashable, Sendable {
    case vmx
    case svm
    case pvm
  }

  public var vendor: Vendor?
  /// The exit's name as KVM prints it (`EPT_MISCONFIG`, `npf`, `shutdown`), or the number in hexadecimal.
  public var reasonName: String
  /// The number, where the trace has it.
  public var reason: UInt32?
  public var rip: UInt64
  public var vcpu: Int?
  /// Intel's exit qualification, AMD's EXITINFO1.
  public var info1: UInt64?
  /// Intel's IDT-vectoring information, AMD's EXITINFO2.
  public var info2: UInt64?
  /// Intel's VM-exit interruption information, AMD's EXITINTINFO.
  public var interruptionInfo: UInt32?
  public var errorCode: UInt32?

  public init(
    vendor: Vendor?, reasonName: String, reason: UInt32?, rip: UInt64, vcpu: Int? = nil, info1: UInt64? = nil,
    info2: UInt64? = nil, interruptionInfo: UInt32? = nil, errorCode: UInt32? = nil
  ) {
    self.vendor = vendor
    self.reasonName = reasonName
    self.reason = reason
    self.rip = rip
    self.vcpu = vcpu
    self.info1 = info1
    self.info2 = info2
    self.interruptionInfo = interruptionInfo
    self.errorCode = errorCode
  }
}

/// kvm_emulate_insn.
public struct KVMEmulation: Hashable, Sendable {
  /// The base of CS, cut to 32 bits by KVM.
  public var codeSegmentBase: UInt32
  /// The offset of the instruction's first byte in CS.
  public var rip: UInt64
  /// The fetch window, which may be longer than the instruction; empty when the fetch failed, and with trace-cmd's
  /// kvm plugin then the bytes of the instruction before.
  public var bytes: [UInt8]
  /// `real`, `prot16`, `prot32` or `prot64`; nil where the text does not show it.
  public var mode: String?
  /// Whether the emulator gave up. Not yet a death: at CPL 3 the guest gets #UD, and kvm_pvm has a fallback.
  public var failed: Bool

  public init(codeSegmentBase: UInt32, rip: UInt64, bytes: [UInt8], mode: String?, failed: Bool) {
    self.codeSegmentBase = codeSegmentBase
    self.rip = rip
    self.bytes = bytes
    self.mode = mode
    self.failed = failed
  }
}

/// kvm_mmio.
public struct KVMMMIO: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case read
    case write
    /// The read must be completed by QEMU.
    case unsatisfiedRead
  }

  public var kind: Kind
  public var length: Int
  public var address: PhysicalAddress
  public var value: UInt64

  public init(kind: Kind, length: Int, address: PhysicalAddress, value: UInt64) {
    self.kind = kind
    self.length = length
    self.address = address
    self.value = value
  }
}

/// Why KVM_RUN returned to QEMU: KVM_EXIT_* of include/uapi/linux/kvm.h.
public struct UserspaceExitReason: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let unknown = Self(rawValue: 0)
  public static let exception = Self(rawValue: 1)
  public static let io = Self(rawValue: 2)
  public static let debug = Self(rawValue: 4)
  public static let hlt = Self(rawValue: 5)
  public static let mmio = Self(rawValue: 6)
  /// A triple fault.
  public static let shutdown = Self(rawValue: 8)
  public static let failEntry = Self(rawValue: 9)
  public static let interrupted = Self(rawValue: 10)
  public static let internalError = Self(rawValue: 17)
  public static let systemEvent = Self(rawValue: 24)
}
