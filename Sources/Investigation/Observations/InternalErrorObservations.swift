import KVM
import QEMU
import X86

/// What the data of KVM's internal errors say.
///
/// The layouts are those of Linux 3.x to 6.19; where a number means two things on two kernels, only what both agree on is said.
struct InternalErrorObservations {
  private let error: InternalError
  /// The words of `extra data[i]` by i; some logs keep only some of them.
  private let data: [Int: UInt64]
  private let source: Source
  private let state: ProcessorState?
  private let memorySize: UInt64?
  /// The bytes at RIP as the dump shows them.
  private let bytesAtRIP: [UInt8]
  private(set) var evidence: [Evidence] = []

  /// - Parameter processor: The registers that were dumped with the error.
  init(_ reported: KVMInternalError, _ source: Source, in scene: Scene, processor: ObservedProcessor?) {
    let words = (0..<16).prefix { reported.extraData[$0] != nil }.compactMap { reported.extraData[$0] }
    error = InternalError(rawSuberror: UInt32(truncatingIfNeeded: reported.suberror), data: words)
    data = reported.extraData
    self.source = source
    state = processor?.state
    memorySize = scene.commandLine?.memorySize
    bytesAtRIP = processor.flatMap { scene.code(of: $0)?.value.atInstructionPointer } ?? []
    guard let suberror = error.suberror else {
      note("Suberror \(reported.suberror) is none that Linux 6.19 defines")
      return
    }
    note("Suberror \(suberror.rawValue) is \(suberror.name): \(suberror.meaning)")
    switch suberror {
    case .emulation: emulation()
    case .simultaneousExceptions: simultaneousExceptions()
    case .deliveryEvent: delivery()
    case .unexpectedExitReason: unexpectedExit()
    }
  }

  private mutating func note(_ text: String) { evidence.append(Evidence(text, source)) }

  // MARK: 1

  private mutating func emulation() {
    if let bytes = error.instructionBytes {
      note(
        "data[0]=1: KVM's emulator was given \(bytes.count) bytes of instruction, "
          + bytes.map(\.hexadecimalByte).joined(separator: " "))
      if !bytesAtRIP.isEmpty, !zip(bytes, bytesAtRIP).allSatisfy(==) {
        note(
          "Those are not the bytes at RIP (\(bytesAtRIP.prefix(bytes.count).map(\.hexadecimalByte).joined(separator: " "))): what KVM was told to emulate is not the code "
            + "that the guest's memory holds there, so the host, or the hypervisor below it, reported it wrongly")
      }
    }
    guard let exit = error.exit else { return }
    let kind = VMExit(reason: exit.reason)
    note("The exit that led to it: \(kind.words)\(detail(of: kind, info1: exit.info1, info2: exit.info2))")
    let event = EventInformation(rawValue: exit.eventInformation)
    if let name = event.name { note("It came with the event \(name)") }
  }

  /// What the exit's two words of information say.
  private func detail(of exit: VMExit, info1: UInt64, info2: UInt64) -> String {
    switch exit {
    case .nestedPageFault:
      "; error code \(info1.hexadecimal), \(KVM.NestedPageFaultInformation(rawValue: info1).words), at guest-physical "
        + "\(info2.hexadecimal)\(relation(ofPhysical: info2))"
    case .eptViolation:
      "; qualification \(info1.hexadecimal), a \(EPTViolationQualification(rawValue: info1).description)"
    default: ""
    }
  }

  // MARK: 2

  /// vmx.c: handle_exception_nmi, 6.19: vectoring information, interruption information, error code, CPU.
  private mutating func simultaneousExceptions() {
    for (index, what) in [(0, "being delivered"), (1, "raised meanwhile")] {
      guard let value = data[index] else { continue }
      note("data[\(index)]=\(value.hexadecimal), the event \(what): \(words(ofEvent: value))")
    }
    if let code = data[2] { note("data[2]=\(code.hexadecimal): the error code of the second") }
    let second = data[1].map { EventInformation(rawValue: UInt32(truncatingIfNeeded: $0)) }
    guard second?.exception == .doubleFault else { return }
    note(
      "A double fault that cannot be delivered is a triple fault on a processor: the guest's IDT, stack or page tables are not usable, "
        + "or KVM's shadow of them")
  }

  // MARK: 3

  /// Up to 6.12 vectoring information, exit reason, qualification, guest-physical address of an EPT misconfiguration, CPU
  /// (vmx.c: __vmx_handle_exit; the CPU since 5.9); from 6.14 the fourth is always an address or all ones (x86.c:
  /// kvm_prepare_event_vectoring_exit).
  private mutating func delivery() {
    guard let vectoring = data[0], let reason = data[1] else { return }
    let exit = VMExit(reason: UInt32(truncatingIfNeeded: reason))
    note("data[0]=\(vectoring.hexadecimal), the event that was being delivered: \(words(ofEvent: vectoring))")
    note("data[1]=\(reason.hexadecimal), the exit: \(exit.words)")
    if let qualification = data[2] { qualify(exit, qualification) }
    if let address = physicalAddress(of: exit) {
      note("data[3]=\(address.hexadecimal), the guest-physical address\(relation(ofPhysical: address))")
      if exit == .eptMisconfiguration, PCMemory.conventional.contains(address) {
        note(
          "\(address.hexadecimal) is below 640 KiB, where every PC has RAM: if KVM took it for a device's, then its own map of the guest's memory, or the hypervisor below it, is wrong, not the guest"
        )
      }
    } else if data[4] == nil, let cpu = data[3] {
      note("data[3]=\(cpu.hexadecimal): the host's processor that entered the guest last, \(cpu)")
    }
    if let cpu = data[4] {
      note("data[4]=\(cpu.hexadecimal): the host's processor that entered the guest last, \(cpu)")
    }
    guard EventInformation(rawValue: UInt32(truncatingIfNeeded: vectoring)).isValid, exit.isOfInstruction else {
      return
    }
    note(
      "An exit of this reason comes from executing an instruction, never while an event is delivered (SDM vol. 3, 28.2.4): "
        + "what the processor reported contradicts itself")
  }

  private mutating func qualify(_ exit: VMExit, _ qualification: UInt64) {
    let words: String? =
      switch exit {
      case .eptViolation: "a \(EPTViolationQualification(rawValue: qualification).description)"
      case .eptMisconfiguration: nil
      case .taskSwitch: "a task switch to selector \((qualification & 0xFFFF).hexadecimal)"
      default: nil
      }
    guard let words else { return }
    note("data[2]=\(qualification.hexadecimal), the exit qualification: \(words)")
  }

  /// The fourth word, where it is an address in all layouts that fit.
  private func physicalAddress(of exit: VMExit) -> UInt64? {
    guard let address = data[3], address != .max else { return nil }
    return data[4] != nil || exit == .eptMisconfiguration ? address : nil
  }

  // MARK: 4

  private mutating func unexpectedExit() {
    guard let reason = data[0] else { return }
    if reason > UInt64(UInt32.max) {
      // Linux arch/x86/include/asm/shared/tdx_errno.h, 6.19: TDX_ERROR is bit 63, TDX_NON_RECOVERABLE bit 62.
      let flags = [(63, "error"), (62, "not recoverable")].filter { reason >> UInt64($0.0) & 1 == 1 }.map(\.1)
      note(
        "data[0]=\(reason.hexadecimal) has more than the 32 bits of an exit reason: a completion status of the TDX module"
          + (flags.isEmpty ? "" : " (\(flags.joined(separator: ", ")))"))
    } else {
      note("data[0]=\(reason.hexadecimal): \(VMExit(reason: UInt32(truncatingIfNeeded: reason)).words)")
    }
    if let cpu = data[1] {
      note("data[1]=\(cpu.hexadecimal): the host's processor that entered the guest last, \(cpu)")
    }
  }

  // MARK: Words

  private func words(ofEvent value: UInt64) -> String {
    let event = EventInformation(rawValue: UInt32(truncatingIfNeeded: value))
    guard event.isValid else { return "not valid, so no event" }
    let vector = ExceptionVector(rawValue: event.vector)
    return switch event.kind {
    case .externalInterrupt:
      "an external interrupt (type 0), vector \(event.vector.hexadecimal) = \(event.vector)"
        + (event.vector < 32 ? ", which is the vector of \(vector.name)" : "")
    case .nmi: "an NMI"
    case .exception:
      "\(vector.name) (a hardware exception, type 3, vector \(event.vector)\(event.hasErrorCode ? ", with error code" : ""))"
    case .softwareInterrupt: "INT \(event.vector.hexadecimal) (type 4)"
    case .softwareException, .privilegedSoftwareException:
      "\(vector.name) (a software exception, vector \(event.vector))"
    case .other, nil: "type \(event.rawValue >> 8 & 7), vector \(event.vector)"
    }
  }

  /// What else is at a guest-physical address, as the end of a sentence.
  private func relation(ofPhysical address: UInt64) -> String {
    if PCMemory.vgaWindow.contains(address) { return ", in the VGA window (A0000-BFFFF): device memory" }
    return beyondMemory(address) + registerRelation(address)
  }

  /// A PC has its first 2 GiB of RAM from 0 on, whatever the machine (QEMU 7.2 hw/i386/pc_piix.c and pc_q35.c: above that it depends).
  private func beyondMemory(_ address: UInt64) -> String {
    guard let memorySize, memorySize <= 2 << 30, address >= memorySize, address < 1 << 32 else { return "" }
    return ", beyond the guest's RAM, which ends at \(memorySize.hexadecimal) (-m): treated as a device (MMIO)"
  }

  private func registerRelation(_ address: UInt64) -> String {
    guard let state else { return "" }
    let root = PageTableEntry(state.cr3).table.rawValue
    if state.cr0.contains(.paging), address & ~0xFFF == root { return ", in the page that CR3 points to: a page table" }
    if !state.cr0.contains(.paging) {
      let stack = state.stackAddress
      if address &- (stack &- 256) <= 512 {
        let distance = Int64(bitPattern: address &- stack)
        return ", which is ESP\(distance < 0 ? "-" : "+")\(distance.magnitude)"
      }
    }
    return ""
  }
}

/// Why the guest was left, by a number that means different things on Intel and AMD.
enum VMExit: Hashable {
  case nestedPageFault
  case eptViolation
  case eptMisconfiguration
  case taskSwitch
  case vmx(UInt32)
  case svm(UInt32)

  /// Intel's basic exit reasons end below 100; AMD's exit codes below that are accesses to control and debug registers and exceptions,
  /// which KVM handles.
  init(reason: UInt32) {
    switch reason & 0xFFFF {
    case SVMExitCode.nestedPageFault: self = .nestedPageFault
    case VMXExitReason.eptViolation: self = .eptViolation
    case VMXExitReason.eptMisconfiguration: self = .eptMisconfiguration
    case 9: self = .taskSwitch
    case let basic: self = VMXExitReason.name(of: reason) == nil && basic > 96 ? .svm(reason) : .vmx(reason)
    }
  }

  var words: String {
    switch self {
    case .nestedPageFault: "exit code 0x400, a nested page fault (npf, AMD)"
    case .eptViolation:
      "exit reason 48 (0x30), EPT_VIOLATION: a guest-physical address that EPT does not map for this access"
    case .eptMisconfiguration:
      "exit reason 49 (0x31), EPT_MISCONFIG: KVM marks the addresses of devices (MMIO) so"
    case .taskSwitch: "exit reason 9, TASK_SWITCH"
    case .vmx(let reason):
      "exit reason \(reason & 0xFFFF) (\(reason.hexadecimal)), \(VMXExitReason.name(of: reason) ?? "which Linux 6.19 has no name for")"
    case .svm(let code):
      "exit code \(code.hexadecimal), \(SVMExitCode.name(of: code) ?? "which Linux 6.19 has no name for")"
    }
  }

  /// Whether only the execution of an instruction can bring about an Intel exit of this reason (SDM vol. 3, 26.1.2 and 28.2.4).
  var isOfInstruction: Bool {
    guard case .vmx(let reason) = self else { return false }
    switch reason & 0xFFFF {
    case 10...32, 36, 39, 40, 46, 47, 50, 51, 53...55, 57...61, 63, 64, 67, 68: return true
    default: return false
    }
  }
}

extension KVM.NestedPageFaultInformation {
  /// `a read of a page that is not mapped, at the final address`.
  fileprivate var words: String {
    let kind = access.contains(.fetch) ? "an instruction fetch" : access.contains(.write) ? "a write" : "a read"
    let mapping =
      access.contains(.reserved) ? "marked as MMIO" : access.contains(.present) ? "not allowed" : "not mapped"
    let target = contains(.guestPageTable) ? "of a page table of the guest" : "of the guest's final address"
    return "\(kind) \(target), \(mapping)"
  }
}

extension UInt8 {
  /// Two hexadecimal digits: `0f`.
  var hexadecimalByte: String { String(self >> 4, radix: 16) + String(self & 0xF, radix: 16) }
}
