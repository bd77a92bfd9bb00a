import GuestMemory
import Investigation
import KVM
import QEMU
import X86

/// The failure that the project began with, as scenes: a kernel maps 1 GiB pages on a processor without them.
enum Story {
  /// The trace of a host with EPT and a kernel before 5.14: hardware accepts the page, KVM's own walk does not.
  static let traceWithEPT: [KVMRecord] = records([
    .exit(KVMExit(vendor: .vmx, reasonName: "EPT_MISCONFIG", reason: 49, rip: 0x133025)),
    .pagetableWalk(address: LinearAddress(0x133025), access: .fetch),
    .pagingElement(entry: 0xbf9023, level: 4),
    .pagingElement(entry: 0xa3, level: 3),
    .walkerError([.present, .reserved]),
    emulation(rip: 0x133025, bytes: [0xEC], failed: false),
    emulation(rip: 0x133025, bytes: [0xEC], failed: true),
    .userspaceExit(reason: .internalError, errno: nil),
  ])

  /// The trace of a host with shadow paging: #PF, then the IDT lies behind the same entry, so a triple fault.
  static func traceWithShadowPaging(entry: UInt64 = 0x83, error: PageFaultErrorCode = [.present, .reserved])
    -> [KVMRecord]
  {
    func failedWalk(_ address: UInt64, _ access: PageFaultErrorCode) -> [KVMEvent] {
      [
        .pagetableWalk(address: LinearAddress(address), access: access), .pagingElement(entry: 0x103003, level: 4),
        .pagingElement(entry: entry, level: 3), .walkerError(error),
      ]
    }
    return records(
      [emulation(rip: 0x10006a, bytes: [0x0F, 0x22, 0xC0], failed: false), .entry(vcpu: 0, rip: 0x10006d)]
        + failedWalk(0x10006d, .fetch)
        + [.injectException(vector: .pageFault, errorCode: error.rawValue, isReinjected: false)]
        + [.entry(vcpu: 0, rip: 0x10006d)] + failedWalk(0xe0, []) + failedWalk(0xe0, [])
        + [.injectException(vector: .doubleFault, errorCode: 0, isReinjected: false)]
        + [.entry(vcpu: 0, rip: 0x10006d)] + failedWalk(0x80, [])
        + [.userspaceExit(reason: .shutdown, errno: nil)])
  }

  /// Events of one vCPU's thread, a microsecond apart.
  static func records(_ events: [KVMEvent], thread: Int32 = 7, from start: UInt64 = 1_000_000_000) -> [KVMRecord] {
    events.enumerated().map { index, event in
      KVMRecord(
        time: start + UInt64(index) * 1000, cpu: 0, task: "qemu-system-x86", threadID: thread, event: event)
    }
  }

  static func emulation(rip: UInt64, bytes: [UInt8], failed: Bool) -> KVMEvent {
    .emulateInstruction(KVMEmulation(codeSegmentBase: 0, rip: rip, bytes: bytes, mode: "prot32", failed: failed))
  }

  /// The registers at the death: paging just turned on, still 32-bit code, an IDT of real mode.
  static func state(
    rip: UInt64 = 0x10006d, cr3: UInt64 = 0x102000, cr2: UInt64 = 0x10006d,
    efer: EFER = [.longModeEnable, .longModeActive],
    idtLimit: UInt16 = 0x3FF
  ) -> ProcessorState {
    var registers = GeneralPurposeRegisters()
    registers.rax = 0x8000_0011
    registers.rcx = 0xC000_0080
    func segment(_ selector: UInt16, _ attributes: UInt32) -> Segment {
      Segment(
        selector: SegmentSelector(rawValue: selector), base: 0, limit: .max,
        attributes: SegmentAttributes(rawValue: attributes))
    }
    let data = segment(0x10, 0x00c0_9300)
    return ProcessorState(
      generalPurpose: registers, rip: rip, rflags: RFLAGS(rawValue: 0x86), es: data, cs: segment(8, 0x00c0_9b00),
      ss: data, ds: data, fs: data, gs: data, ldtr: segment(0, 0x8200), tr: segment(0, 0x8b00),
      gdtr: DescriptorTableRegister(base: LinearAddress(0xcb2b8), limit: 0x27),
      idtr: DescriptorTableRegister(base: LinearAddress(0), limit: idtLimit),
      cr0: [.protectionEnable, .extensionType, .paging], cr2: cr2, cr3: cr3, cr4: .physicalAddressExtension,
      efer: efer, currentPrivilegeLevel: 0)
  }

  /// A triple fault under KVM on AMD with nested paging, where a probe kept the registers.
  static func shutdown(of state: ProcessorState) -> [KVMEvent] {
    let general = state.generalPurpose
    let registers: [(String, UInt64)] = [
      ("vcpu", 0), ("cpl", UInt64(state.currentPrivilegeLevel ?? 0)), ("rip", state.rip),
      ("rflags", state.rflags.rawValue),
      ("cr0", state.cr0.rawValue), ("cr2", state.cr2), ("cr3", state.cr3), ("cr4", state.cr4.rawValue),
      ("efer", state.efer?.rawValue ?? 0), ("rax", general.rax), ("rcx", general.rcx), ("rdx", general.rdx),
      ("rbx", general.rbx), ("rsp", general.rsp), ("rbp", general.rbp), ("rsi", general.rsi), ("rdi", general.rdi),
      ("r8", general.r8), ("r9", general.r9), ("r10", general.r10), ("r11", general.r11), ("r12", general.r12),
      ("r13", general.r13), ("r14", general.r14), ("r15", general.r15), ("gdtr_base", state.gdtr.base.rawValue),
      ("gdtr_limit", UInt64(state.gdtr.limit)), ("idtr_base", state.idtr.base.rawValue),
      ("idtr_limit", UInt64(state.idtr.limit)),
    ]
    let segments = [
      ("es", state.es), ("cs", state.cs), ("ss", state.ss), ("ds", state.ds), ("fs", state.fs), ("gs", state.gs),
      ("ldtr", state.ldtr), ("tr", state.tr),
    ].flatMap { name, segment in
      let attributes = UInt64(segment.attributes.rawValue)
      return [
        ("\(name)_selector", UInt64(segment.selector.rawValue)), ("\(name)_base", segment.base),
        ("\(name)_limit", UInt64(segment.limit)),
        ("\(name)_attrib", attributes >> 8 & 0xFF | attributes >> 12 & 0xF00),
      ]
    }
    let values = (registers + segments).map { KVMFunctionCall.Value(name: $0.0, text: $0.1.hexadecimal) }
    return [
      .exit(KVMExit(vendor: .svm, reasonName: "shutdown", reason: 0x7F, rip: state.rip)),
      .functionCall(KVMFunctionCall(function: RegistersAtShutdown.function, isReturn: false, values: values)),
      .userspaceExit(reason: .shutdown, errno: nil),
    ]
  }

  static func processor(_ state: ProcessorState = state()) -> ObservedProcessor {
    ObservedProcessor(index: 0, state: state, source: .registers("test"))
  }

  /// The guest's memory: PML4 at 102000H, PDPT at 103000H, and the instruction at 10006DH.
  static func memory(pml4e: UInt64 = 0x103003, pdpte: UInt64 = 0x83) -> SparseMemory {
    var memory = SparseMemory()
    memory.store(pml4e, at: 0x102000)
    memory.store(pdpte, at: 0x103000)
    memory.store([0x66, 0xC7, 0x05, 0x00, 0x80, 0x0B, 0x00, 0x48, 0x02], at: 0x10006d)
    for page in [0 as UInt64, 0xb8000] { memory.store(0, at: page) }
    return memory
  }

  static func commandLine(_ cpu: String = "Haswell") -> QEMUCommandLine {
    QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-accel", "kvm", "-cpu", cpu, "-kernel", "guest.elf"])
  }

  /// A host whose KVM walks the guest's tables itself.
  static func shadowPagingHost(offersGiBPages: Bool?) -> HostFacts {
    var host = HostFacts()
    host.usesTwoDimensionalPaging = Sourced(false, .host("kvm_amd.npt"))
    host.offers = offersGiBPages.map { Sourced([.pdpe1gb: $0], .host("KVM_GET_SUPPORTED_CPUID")) }
    return host
  }
}

extension SparseMemory {
  mutating func store(_ word: UInt64, at address: UInt64) {
    store((0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }, at: address)
  }

  /// Keeps the page that holds `address`, zero where nothing was stored.
  mutating func store(_ bytes: [UInt8], at address: UInt64) {
    let page = address & ~0xFFF
    var contents = [UInt8](repeating: 0, count: 4096)
    var span = contents.mutableSpan
    try? read(PhysicalAddress(page), into: &span)
    contents.replaceSubrange(Int(address - page)..<Int(address - page) + bytes.count, with: bytes)
    insert(page: contents, at: PhysicalAddress(page))
  }
}
