import KVM
import X86

/// A function of KVM on the way to what failed.
public struct KVMPathStep: Hashable, Sendable {
  public var function: String
  /// How many of the steps before it enclose it.
  public var depth: Int
  /// What it does, in a few words; nil where that is not known.
  public var role: String?
  /// What it was given, as `name = value`.
  public var given: [String]
  /// What it answered; nil where nothing recorded that.
  public var answer: String?
  public var source: Source
}

extension RecordedDeath {
  /// The way through KVM to the walk that failed, or that was made last: from probes where there are any, else from
  /// tracepoints. Empty where no probe was on the way.
  var path: [KVMPathStep] {
    guard let end = pathEnd, let start = records[..<end].lastIndex(where: \.event.isExit) else { return [] }
    var path = KVMPathBuilder()
    for record in records[start...] {
      path.add(record)
      // What the walk's callers answer comes after its own end.
      if record.event.leavesKVM, !path.isAtExit { break }
    }
    return path.hasProbes ? path.steps : []
  }

  private var pathEnd: Int? {
    firstFailedWalk?.lastRecord ?? RecordedWalk.walks(in: records).last?.lastRecord
  }
}

/// Puts steps together from the records of one exit.
private struct KVMPathBuilder {
  private(set) var steps: [KVMPathStep] = []
  private(set) var hasProbes = false
  /// The probed calls that have not returned, by their places in `steps`.
  private var open: [Int] = []
  /// The walk that is being made.
  private var walk: Int?
  private var lastEntry: (entry: UInt64, level: Int)?

  /// Whether nothing but the exit itself has been added.
  var isAtExit: Bool { steps.count <= 1 }

  mutating func add(_ record: KVMRecord) {
    switch record.event {
    case .exit(let exit) where steps.isEmpty:
      guard let handler = KVMFunctionRole.exitHandler(of: exit) else { return }
      add(handler, ["exit \(exit.reasonName)", "rip = \(exit.rip.hexadecimal)"], "kvm_exit", record)
    case .functionCall(let call): add(call, record)
    case .pagetableWalk(let address, let access):
      lastEntry = nil
      if let innermost = open.last, steps[innermost].function.hasSuffix(KVMFunctionRole.walk) {
        walk = innermost
      } else {
        add(
          "paging64\(KVMFunctionRole.walk)", ["addr = \(address.rawValue.hexadecimal)", "access = \(access.words)"],
          "kvm_mmu_pagetable_walk", record)
        walk = steps.count - 1
      }
    case .pagingElement(let entry, let level):
      lastEntry = (entry, level)
      guard let walk else { return }
      steps[walk].given.append("reads level \(level): \(entry.hexadecimal)")
    case .walkerError(let error): fail(error, record)
    default: return
    }
  }

  private mutating func add(_ call: KVMFunctionCall, _ record: KVMRecord) {
    let values = call.values.map { "\($0.name) = \($0.text)" }
    guard call.isReturn else {
      hasProbes = true
      add(call.function, values, "probe of \(call.function)", record)
      open.append(steps.count - 1)
      return
    }
    guard let place = open.lastIndex(where: { steps[$0].function == call.function }) else { return }
    let answer = call.values.first?.text ?? "returns"
    let before = steps[open[place]].answer
    steps[open[place]].answer = before.map { "\(answer), \($0)" } ?? answer
    open.removeSubrange(place...)
  }

  private mutating func add(_ function: String, _ given: [String], _ event: String, _ record: KVMRecord) {
    let isExit = steps.isEmpty && !given.isEmpty && event == "kvm_exit"
    let outer = steps.first.map { $0.source.isExit ? 1 : 0 } ?? 0
    steps.append(
      KVMPathStep(
        function: function, depth: isExit ? 0 : outer + open.count, role: KVMFunctionRole.role(of: function),
        given: given, answer: nil, source: .trace(event: event, time: record.time)))
  }

  private mutating func fail(_ error: PageFaultErrorCode, _ record: KVMRecord) {
    guard let walk else { return }
    steps[walk].answer = "the error code \(error.words)"
    guard error.contains(.reserved), let lastEntry else { return }
    steps.append(
      KVMPathStep(
        function: KVMFunctionRole.reservedBitCheck, depth: steps[walk].depth + 1,
        role: KVMFunctionRole.role(of: KVMFunctionRole.reservedBitCheck),
        given: ["level \(lastEntry.level): \(lastEntry.entry.hexadecimal)"], answer: "a reserved bit is set",
        source: .trace(event: "kvm_mmu_walker_error", time: record.time)))
  }
}

/// What the functions on KVM's ways to a page walk do. Kept here for all of them.
enum KVMFunctionRole {
  /// What follows the mode in the walks' names (paging_tmpl.h: FNAME).
  static let walk = "_walk_addr_generic"
  static let reservedBitCheck = "is_rsvd_bits_set"

  /// Function and what it does. Read in Linux 6.1.192, and present by these names in 5.15.135 and 6.19: svm/svm.c,
  /// vmx/vmx.c, mmu/mmu.c, mmu/paging_tmpl.h, x86.c and emulate.c of arch/x86/kvm.
  private static let roles: [(function: String, role: String)] = [
    ("npf_interception", "SVM's handler of nested page faults"),
    ("pf_interception", "SVM's handler of intercepted page faults"),
    ("cr_interception", "SVM's handler of control-register accesses"),
    ("handle_ept_violation", "VMX's handler of EPT violations"),
    ("handle_ept_misconfig", "VMX's handler of EPT misconfigurations: MMIO"),
    ("handle_exception_nmi", "VMX's handler of exceptions"),
    ("kvm_mmu_page_fault", "resolves a fault, or has it emulated"),
    ("x86_emulate_instruction", "emulates an instruction"),
    ("x86_decode_insn", "decodes it"),
    ("kvm_fetch_guest_virt", "fetches its bytes"),
    ("paging64_walk_addr_generic", "walks the guest's tables"),
    ("paging32_walk_addr_generic", "walks the guest's tables"),
    (reservedBitCheck, "compares an entry with the reserved bits of its level"),
  ]

  /// The handler of an exit, by the vendor's name of its reason (svm.c: svm_exit_handlers, vmx.c: kvm_vmx_exit_handlers).
  private static let exitHandlers: [(vendor: KVMExit.Vendor, reason: String, function: String)] = [
    (.svm, "npf", "npf_interception"),
    (.svm, "PF excp", "pf_interception"),
    (.svm, "read_cr0", "cr_interception"),
    (.svm, "write_cr0", "cr_interception"),
    (.svm, "write_cr3", "cr_interception"),
    (.svm, "write_cr4", "cr_interception"),
    (.vmx, "EPT_VIOLATION", "handle_ept_violation"),
    (.vmx, "EPT_MISCONFIG", "handle_ept_misconfig"),
    (.vmx, "EXCEPTION_NMI", "handle_exception_nmi"),
  ]

  static func role(of function: String) -> String? { roles.first { $0.function == function }?.role }

  static func exitHandler(of exit: KVMExit) -> String? {
    exitHandlers.first { $0.vendor == exit.vendor && $0.reason == exit.reasonName }?.function
  }
}

extension Source {
  fileprivate var isExit: Bool {
    if case .trace("kvm_exit", _) = self { true } else { false }
  }
}

extension KVMEvent {
  fileprivate var isExit: Bool {
    if case .exit = self { true } else { false }
  }

  /// Whether KVM is done with an exit.
  fileprivate var leavesKVM: Bool {
    switch self {
    case .entry, .userspaceExit: true
    default: false
    }
  }
}
