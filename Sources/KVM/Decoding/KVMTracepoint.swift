import Traces
import X86

/// How one tracepoint is decoded: the same for records and for text, once its fields are known by name.
///
/// A class, so that a decoder holds one reference and copies nothing for an event.
final class KVMTracepoint: Sendable {
  /// A tracepoint's own reader of texts that `TextPattern` cannot describe; nil for a text it does not know.
  typealias TextReader = @Sendable (Span<UInt8>) -> KVMFieldValues?

  let name: String
  /// The fields of its records; alternatives of different kernels are separated by `|`. What only a text shows bears a
  /// name that no record has.
  let fields: [String]
  /// The forms of its text, the newest kernel's first.
  let patterns: [TextPattern]
  let readText: TextReader?
  let event: @Sendable (KVMFieldValues) throws(KVMDecodingError) -> KVMEvent

  init(
    _ name: String, _ fields: [String], text patterns: [String] = [], readText: TextReader? = nil,
    event: @escaping @Sendable (KVMFieldValues) throws(KVMDecodingError) -> KVMEvent
  ) {
    self.name = name
    self.fields = fields
    self.patterns = patterns.map { TextPattern($0, fields: fields) }
    self.readText = readText
    self.event = event
  }

  /// The index of the field that a record or a list of fields calls by this name.
  func index(of fieldName: String) -> Int? {
    fields.firstIndex { field in field.split(separator: "|").contains { $0 == fieldName } }
  }

  /// The event that these values make, or why they make none.
  func decode(_ values: KVMFieldValues) -> KVMEvent {
    do throws(KVMDecodingError) {
      return try event(values)
    } catch {
      switch error {
      case .missingField(let index):
        return .undecodable(name: name, reason: "the field \(fields[index]) is missing")
      case .contradiction(let reason):
        return .undecodable(name: name, reason: reason)
      }
    }
  }

  static func named(_ name: String) -> KVMTracepoint? { all[name] }

  private static let all: [String: KVMTracepoint] = Dictionary(
    [
      execution, interrupts, apicVirtualization, clocks, nested, hyperV, sev, walks, pageTables, asyncPageFaults,
      dirtyLogs, hostMemory,
    ].joined().map { ($0.name, $0) },
    uniquingKeysWith: { first, _ in first })
}

// The forms of text are those of arch/x86/kvm/trace.h, arch/x86/kvm/mmu/mmutrace.h and include/trace/events/kvm.h of
// Linux 4.x to 6.19, older forms after newer ones.

extension KVMTracepoint {
  private static let execution: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_entry", ["vcpu_id", "rip", "immediate_exit", "intr_info", "error_code"],
      text: [
        "vcpu {vcpu_id}, rip {rip:x} intr_info {intr_info:x} error_code {error_code:x}{immediate_exit?[immediate exit]}",
        "vcpu {vcpu_id}, rip {rip:x}{immediate_exit?[immediate exit]}",
        "vcpu {vcpu_id} rip {rip:x}",
        "vcpu {vcpu_id}",
      ]
    ) { f in .entry(vcpu: f.integer(0), rip: f[1]) },
    KVMTracepoint("kvm_exit", KVMExit.fields, readText: KVMExit.readText) { f throws(KVMDecodingError) in
      .exit(try KVMExit(f))
    },
    KVMTracepoint(
      "kvm_emulate_insn", ["rip", "csbase", "len", "flags", "failed", "insn"], readText: KVMEmulation.readText
    ) { f throws(KVMDecodingError) in .emulateInstruction(try KVMEmulation(f)) },
    KVMTracepoint(
      "kvm_userspace_exit", ["reason", "errno"], readText: UserspaceExitReason.readText
    ) { f throws(KVMDecodingError) in
      guard let errno = f[1].map({ Int32(truncatingIfNeeded: $0) }), errno < 0 else {
        return .userspaceExit(reason: UserspaceExitReason(rawValue: try f.required(0, as: UInt32.self)), errno: nil)
      }
      let interruptedCall: Int32 = -4
      return .userspaceExit(reason: errno == interruptedCall ? .interrupted : .unknown, errno: errno)
    },
    KVMTracepoint(
      "kvm_inj_exception", ["exception", "has_error", "error_code", "reinjected"], readText: ExceptionVector.readText
    ) { f throws(KVMDecodingError) in
      .injectException(
        vector: ExceptionVector(rawValue: try f.required(0, as: UInt8.self)),
        errorCode: try f.requiredFlag(1) ? try f.required(2, as: UInt32.self) : nil, isReinjected: f.flag(3))
    },
    KVMTracepoint(
      "kvm_cr", ["rw", "cr", "val"], text: ["cr_{rw=write:1|read:0} {cr:x} = {val:x}"]
    ) { f throws(KVMDecodingError) in
      .controlRegister(
        isWrite: try f.requiredFlag(0), number: try f.required(1, as: Int.self), value: try f.required(2))
    },
    KVMTracepoint(
      "kvm_msr", ["write", "ecx", "data", "exception"],
      text: ["msr_{write=write:1|read:0} {ecx:x} = {data:x}{exception?(#GP)}"]
    ) { f throws(KVMDecodingError) in
      .msr(
        isWrite: try f.requiredFlag(0), index: try f.required(1, as: UInt32.self), value: try f.required(2),
        faulted: f.flag(3))
    },
    KVMTracepoint(
      "kvm_cpuid", ["function", "index", "rax", "rbx", "rcx", "rdx", "found", "used_max_basic"],
      text: [
        "func {function:x} idx {index:x} rax {rax:x} rbx {rbx:x} rcx {rcx:x} rdx {rdx:x}, "
          + "cpuid entry {found=not found:0|found:1}{used_max_basic?, used max basic}",
        "func {function:x} rax {rax:x} rbx {rbx:x} rcx {rcx:x} rdx {rdx:x}, cpuid entry {found=not found:0|found:1}",
        "func {function:x} rax {rax:x} rbx {rbx:x} rcx {rcx:x} rdx {rdx:x}",
      ]
    ) { f throws(KVMDecodingError) in
      .cpuid(
        function: try f.required(0, as: UInt32.self), index: f[1].map { UInt32(truncatingIfNeeded: $0) },
        eax: try f.required(2, as: UInt32.self), ebx: try f.required(3, as: UInt32.self),
        ecx: try f.required(4, as: UInt32.self), edx: try f.required(5, as: UInt32.self), found: f[6].map { $0 != 0 })
    },
    KVMTracepoint(
      "kvm_pio", ["rw", "port", "size", "count", "val"],
      text: [
        "pio_{rw=write:1|read:0} at {port:x} size {size} count {count} val {val:x}",
        "pio_{rw=write:1|read:0} at {port:x} size {size} count {count}",
      ]
    ) { f throws(KVMDecodingError) in
      .portIO(
        isWrite: try f.requiredFlag(0), port: try f.required(1, as: UInt16.self), size: try f.required(2, as: Int.self),
        count: try f.required(3, as: Int.self), value: f[4].map { UInt32(truncatingIfNeeded: $0) })
    },
    KVMTracepoint(
      "kvm_mmio", ["type", "len", "gpa", "val"],
      text: ["mmio {type=unsatisfied-read:0|read:1|write:2} len {len} gpa {gpa:x} val {val:x}"]
    ) { f throws(KVMDecodingError) in
      .mmio(
        KVMMMIO(
          kind: try KVMMMIO.Kind(type: try f.required(0)), length: try f.required(1, as: Int.self),
          address: PhysicalAddress(try f.required(2)), value: try f.required(3)))
    },
    KVMTracepoint("kvm_fast_mmio", ["gpa"], text: ["fast mmio at gpa {gpa:x}"]) { f throws(KVMDecodingError) in
      .fastMMIO(address: PhysicalAddress(try f.required(0)))
    },
    KVMTracepoint("kvm_fpu", ["load"], text: ["{load=unload:0|load:1}"]) { f throws(KVMDecodingError) in
      .fpu(isLoaded: try f.requiredFlag(0))
    },
    KVMTracepoint(
      "kvm_hypercall", ["nr", "a0", "a1", "a2", "a3"], text: ["nr {nr:x} a0 {a0:x} a1 {a1:x} a2 {a2:x} a3 {a3:x}"]
    ) { f throws(KVMDecodingError) in
      .hypercall(
        number: try f.required(0), a0: try f.required(1), a1: try f.required(2), a2: try f.required(3),
        a3: try f.required(4))
    },
    KVMTracepoint(
      "kvm_xen_hypercall", ["nr", "a0", "a1", "a2", "a3", "a4", "a5", "cpl"],
      text: ["cpl {cpl} ", ""].map { $0 + "nr {nr:x} a0 {a0:x} a1 {a1:x} a2 {a2:x} a3 {a3:x} a4 {a4:x} a5 {a5:x}" }
    ) { f throws(KVMDecodingError) in
      .xenHypercall(
        number: try f.required(0), a0: try f.required(1), a1: try f.required(2), a2: try f.required(3),
        a3: try f.required(4), a4: try f.required(5), a5: try f.required(6),
        privilegeLevel: f[7].map { UInt8(truncatingIfNeeded: $0) })
    },
    systemManagementMode("kvm_smm_transition"),
    systemManagementMode("kvm_enter_smm"),
    KVMTracepoint(
      "kvm_halt_poll_ns", ["vcpu_id", "new", "old", "grow"],
      text: ["vcpu {vcpu_id}: halt_poll_ns {new} ({grow=grow:1|shrink:0} {old})"]
    ) { f throws(KVMDecodingError) in
      .haltPolling(
        vcpu: try f.required(0, as: Int.self), old: try f.required(2, as: UInt32.self),
        new: try f.required(1, as: UInt32.self))
    },
    pauseLoopWindow("kvm_ple_window_update", text: "vcpu {vcpu_id} old {old} new {new} ({*})"),
    pauseLoopWindow("kvm_ple_window", text: "vcpu {vcpu_id}: ple_window {new} ({*} {old})"),
    KVMTracepoint(
      "kvm_pv_tlb_flush", ["vcpu_id", "need_flush_tlb"],
      text: ["vcpu {vcpu_id} need_flush_tlb {need_flush_tlb=true:1|false:0}"]
    ) { f throws(KVMDecodingError) in
      .paravirtualTLBFlush(vcpu: try f.required(0, as: Int.self), isNeeded: try f.requiredFlag(1))
    },
    KVMTracepoint(
      "kvm_vcpu_wakeup", ["ns", "waited", "valid"],
      text: [
        "{waited=wait:1|poll:0} time {ns} ns, polling {valid=valid:1|invalid:0}", "{waited=wait:1|poll:0} time {ns} ns",
      ]
    ) { f throws(KVMDecodingError) in
      .wakeup(nanoseconds: try f.required(0, as: Int64.self), isWait: try f.requiredFlag(1))
    },
  ]

  private static func systemManagementMode(_ name: String) -> KVMTracepoint {
    KVMTracepoint(
      name, ["vcpu_id", "smbase", "entering"],
      text: ["vcpu {vcpu_id}: {entering=entering:1|leaving:0} SMM, smbase {smbase:x}"]
    ) { f throws(KVMDecodingError) in
      .systemManagementMode(vcpu: f.integer(0), base: try f.required(1), isEntry: try f.requiredFlag(2))
    }
  }

  private static func pauseLoopWindow(_ name: String, text: String) -> KVMTracepoint {
    KVMTracepoint(name, ["vcpu_id", "new", "old"], text: [text]) { f throws(KVMDecodingError) in
      .pauseLoopWindow(
        vcpu: try f.required(0, as: Int.self), old: try f.required(2, as: UInt32.self),
        new: try f.required(1, as: UInt32.self))
    }
  }

  private static let delivery = "Fixed:0|LowPrio:1|SMI:2|Res3:3|NMI:4|INIT:5|SIPI:6|ExtINT:7"

  private static let interrupts: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_inj_virq", ["vector|irq", "soft", "reinjected"],
      text: ["{soft=IRQ:0|Soft/INTn:1} {vector:x}{reinjected?[reinjected]}", "irq {vector}"]
    ) { f throws(KVMDecodingError) in
      .injectInterrupt(vector: try f.required(0, as: UInt8.self), isSoft: f.flag(1), isReinjected: f.flag(2))
    },
    KVMTracepoint(
      "kvm_apic", ["rw", "reg", "val"],
      text: ["apic_{rw=write:1|read:0} {reg=\(apicRegisters)} = {val:x}", "apic_{rw=write:1|read:0} {reg:x} = {val:x}"]
    ) { f throws(KVMDecodingError) in
      .apic(isWrite: try f.requiredFlag(0), register: try f.required(1, as: UInt32.self), value: try f.required(2))
    },
    KVMTracepoint(
      "kvm_apic_ipi", ["icr_low", "dest_id", ".vector", ".delivery"],
      text: ["dst {dest_id:x} vec {.vector} ({.delivery=\(delivery)}"]
    ) { f throws(KVMDecodingError) in
      let command = try f.interruptCommand(0, vector: 2, delivery: 3)
      return .interprocessorInterrupt(
        destination: try f.required(1, as: UInt32.self), vector: UInt8(truncatingIfNeeded: command),
        delivery: InterruptDelivery(bits: command >> 8))
    },
    acceptInterrupt("kvm_apic_accept_irq"),
    acceptInterrupt("kvm_apicv_accept_irq"),
    KVMTracepoint("kvm_eoi", ["apicid", "vector"], text: ["apicid {apicid:x} vector {vector}"]) {
      f throws(KVMDecodingError) in
      .endOfInterrupt(apicID: try f.required(0, as: UInt32.self), vector: try f.required(1, as: Int.self))
    },
    KVMTracepoint("kvm_pv_eoi", ["apicid", "vector"], text: ["apicid {apicid:x} vector {vector}"]) {
      f throws(KVMDecodingError) in
      .paravirtualEndOfInterrupt(apicID: try f.required(0, as: UInt32.self), vector: try f.required(1, as: Int.self))
    },
    KVMTracepoint(
      "kvm_ioapic_delayed_eoi_inj", ["e", ".vector", ".delivery", ".masked"],
      text: ["dst {*} vec {.vector} ({.delivery=\(delivery)}|{*}|{*}{.masked?|masked})"]
    ) { f throws(KVMDecodingError) in
      let entry = try f.interruptCommand(0, vector: 1, delivery: 2)
      return .delayedEndOfInterrupt(
        vector: UInt8(truncatingIfNeeded: entry), delivery: InterruptDelivery(bits: entry >> 8),
        isMasked: f[0].map { $0 >> 16 & 1 == 1 } ?? f.flag(3))
    },
    KVMTracepoint(
      "kvm_set_irq", ["gsi", "level"], text: ["gsi {gsi} level {level} source", "gsi {gsi} level {level}"]
    ) { f throws(KVMDecodingError) in
      .interruptLine(gsi: try f.required(0, as: UInt32.self), level: try f.required(1, as: Int.self))
    },
    KVMTracepoint(
      "kvm_ioapic_set_irq", ["e", "pin", "coalesced", ".vector", ".masked"],
      text: ["pin {pin} dst {*} vec {.vector} ({*}|{*}|{*}{.masked?|masked}){coalesced?(coalesced)}"]
    ) { f throws(KVMDecodingError) in
      .ioapicLine(
        pin: try f.required(1, as: Int.self),
        vector: UInt8(truncatingIfNeeded: try f.interruptCommand(0, vector: 3, delivery: nil)),
        isMasked: f[0].map { $0 >> 16 & 1 == 1 } ?? f.flag(4), isCoalesced: f.flag(2))
    },
    KVMTracepoint(
      "kvm_pic_set_irq", ["chip", "pin", "elcr", "imr", "coalesced", ".masked"],
      text: ["chip {chip} pin {pin} ({elcr=edge:0|level:1}{.masked?|masked}){coalesced?(coalesced)}"]
    ) { f throws(KVMDecodingError) in
      let pin = try f.required(1)
      return .picLine(
        chip: try f.required(0, as: Int.self), pin: Int(truncatingIfNeeded: pin),
        isMasked: f[3].map { $0 >> (pin & 7) & 1 == 1 } ?? f.flag(5), isCoalesced: f.flag(4))
    },
    KVMTracepoint(
      "kvm_msi_set_irq", ["address", "data", ".vector", ".delivery"],
      text: ["dst {*} vec {.vector} ({.delivery=\(delivery)}"]
    ) { f throws(KVMDecodingError) in
      let data = try f.interruptCommand(1, vector: 2, delivery: 3)
      return .messageInterrupt(vector: UInt8(truncatingIfNeeded: data), delivery: InterruptDelivery(bits: data >> 8))
    },
    KVMTracepoint(
      "kvm_ack_irq", ["irqchip", "pin"],
      text: ["irqchip {irqchip=PIC master:0|PIC slave:1|IOAPIC:2} pin {pin}", "irqchip {irqchip:x} pin {pin}"]
    ) { f throws(KVMDecodingError) in
      .acknowledgeInterrupt(chip: try f.required(0, as: Int.self), pin: try f.required(1, as: Int.self))
    },
  ]

  private static func acceptInterrupt(_ name: String) -> KVMTracepoint {
    KVMTracepoint(
      name, ["apicid", "dm", "tm", "vec", ".delivery"],
      text: ["apicid {apicid:x} vec {vec} ({.delivery=\(delivery)}|{tm=level:1|edge:0})"]
    ) { f throws(KVMDecodingError) in
      .acceptInterrupt(
        apicID: try f.required(0, as: UInt32.self), vector: try f.required(3, as: UInt8.self),
        delivery: InterruptDelivery(bits: try f.interruptCommand(1, vector: 3, delivery: 4) >> 8))
    }
  }

  /// kvm_trace_symbol_apic of trace.h.
  private static let apicRegisters =
    "APIC_ID:0x20|APIC_LVR:0x30|APIC_TASKPRI:0x80|APIC_ARBPRI:0x90|APIC_PROCPRI:0xa0|APIC_EOI:0xb0|APIC_RRR:0xc0|"
    + "APIC_LDR:0xd0|APIC_DFR:0xe0|APIC_SPIV:0xf0|APIC_ISR:0x100|APIC_TMR:0x180|APIC_IRR:0x200|APIC_ESR:0x280|"
    + "APIC_ICR2:0x310|APIC_ICR:0x300|APIC_LVTTHMR:0x330|APIC_LVTT:0x320|APIC_LVTPC:0x340|APIC_LVT0:0x350|"
    + "APIC_LVT1:0x360|APIC_LVTERR:0x370|APIC_TMICT:0x380|APIC_TMCCT:0x390|APIC_TDCR:0x3e0|APIC_SELF_IPI:0x3f0|"
    + "APIC_EFEAT:0x400|APIC_ECTRL:0x410"
}

extension KVMMMIO.Kind {
  /// KVM_TRACE_MMIO_* of include/trace/events/kvm.h.
  fileprivate init(type: UInt64) throws(KVMDecodingError) {
    switch type {
    case 0: self = .unsatisfiedRead
    case 1: self = .read
    case 2: self = .write
    default: throw .contradiction("the type of access \(type) is unknown")
    }
  }
}

extension KVMFieldValues {
  /// An interrupt command, message or redirection entry: the vector in bits 7:0, the delivery mode in 10:8. Records
  /// have the word, texts its parts.
  fileprivate func interruptCommand(_ word: Int, vector: Int, delivery: Int?) throws(KVMDecodingError) -> UInt64 {
    if let command = self[word] { return command }
    guard let delivery else { return try required(vector) }
    return try required(vector) & 0xff | required(delivery) << 8
  }
}
