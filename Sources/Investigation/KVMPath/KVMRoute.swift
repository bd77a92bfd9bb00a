import KVM
import X86

/// Which functions of KVM lead from an exit to a walk of the guest's page tables, outermost first, by KVM's source.
///
/// All of it is in arch/x86/kvm: svm/svm.c, vmx/vmx.c, x86.c, emulate.c, mmu/mmu.c and mmu/paging_tmpl.h, read in Linux
/// 6.1.192; the functions have these names in 5.15.135 and 6.19, too. `x86_decode_emulated_instruction` is new in 5.12.
/// Other KVMs, such as kvm_pvm, are not described.
struct KVMRoute {
  struct Function {
    var name: String
    var role: String
    /// Whether it has returned before the next one is called.
    var hasReturned = false
  }

  private(set) var functions: [Function]

  /// Where the functions are from, for what nothing recorded.
  static let source = Source.assumed("KVM's source, Linux 5.15 to 6.19")

  /// Why a walk is made.
  enum Purpose {
    /// A fault of the guest that KVM intercepts, with shadow paging.
    case pageFault
    /// The emulator fetches the instruction.
    case fetch
    /// The emulator reads or writes an operand.
    case operand
  }

  /// The route to a walk; nil for an exit of which the way is not described.
  ///
  /// - Parameter mode: The prefix of what paging_tmpl.h is compiled to: `paging64`, `paging32`; nil if not known.
  init?(from exit: KVMExit, to purpose: Purpose, mode: String?, release: SoftwareVersion?) {
    guard let handler = Self.handlers.first(where: { $0.vendor == exit.vendor && $0.reason == exit.reasonName }) else {
      return nil
    }
    functions = [Function(name: handler.function, role: handler.role)]
    if handler.isIntercept { add("kvm_handle_page_fault") }
    if !handler.isControlRegister { add("kvm_mmu_page_fault") }
    switch purpose {
    case .pageFault:
      guard handler.isIntercept else { return nil }
      if let mode {
        functions.append(Function(name: "\(mode)_page_fault", role: "finds out what the guest's tables say"))
      }
    case .fetch, .operand:
      if exit.isMMIO { add("handle_mmio_page_fault", hasReturned: true) }
      add("x86_emulate_instruction")
      if purpose == .fetch {
        if let release, release >= SoftwareVersion(5, 12) { add("x86_decode_emulated_instruction") }
        add("x86_decode_insn")
        add("kvm_fetch_guest_virt")
      } else {
        add("x86_emulate_insn")
      }
      if let mode { functions.append(Function(name: "\(mode)_gva_to_gpa", role: "what mmu->gva_to_gpa points to")) }
    }
    functions.append(Function(name: Self.walk(mode), role: Self.walkRole))
  }

  private mutating func add(_ name: String, hasReturned: Bool = false) {
    functions.append(Function(name: name, role: Self.role(of: name) ?? "", hasReturned: hasReturned))
  }

  // MARK: The functions

  /// What follows the mode in the walks' names (paging_tmpl.h: FNAME).
  static let walkSuffix = "walk_addr_generic"
  static let walkRole = "walks the guest's tables"

  static func walk(_ mode: String?) -> String { mode.map { "\($0)_\(walkSuffix)" } ?? walkSuffix }

  /// What compares an entry with the reserved bits of its level; compiled into the walk.
  static let reservedBitCheck = Function(
    name: "is_rsvd_bits_set", role: "compares an entry with the reserved bits of its level")

  private struct Handler {
    var vendor: KVMExit.Vendor
    var reason: String
    var function: String
    var role: String
    /// Whether it handles the guest's own page faults.
    var isIntercept = false
    var isControlRegister = false
  }

  /// The handlers of the exits that can lead to a walk, by the name of the exit's reason (svm.c: svm_exit_handlers,
  /// vmx.c: kvm_vmx_exit_handlers).
  private static let handlers =
    [
      Handler(vendor: .svm, reason: "npf", function: "npf_interception", role: "SVM's handler of nested page faults"),
      Handler(
        vendor: .svm, reason: "PF excp", function: "pf_interception", role: "SVM's handler of the guest's page faults",
        isIntercept: true),
      Handler(
        vendor: .vmx, reason: "EPT_VIOLATION", function: "handle_ept_violation", role: "VMX's handler of EPT violations"
      ),
      Handler(
        vendor: .vmx, reason: "EPT_MISCONFIG", function: "handle_ept_misconfig",
        role: "VMX's handler of EPT misconfigurations, with which KVM marks MMIO"),
      Handler(
        vendor: .vmx, reason: "EXCEPTION_NMI", function: "handle_exception_nmi", role: "VMX's handler of exceptions",
        isIntercept: true),
    ]
    + ["read_cr0", "write_cr0", "write_cr3", "write_cr4"].map {
      Handler(
        vendor: .svm, reason: $0, function: "cr_interception", role: "SVM's handler of control-register accesses",
        isControlRegister: true)
    }

  private static let roles = [
    ("kvm_handle_page_fault", "takes a page fault of the guest"),
    ("kvm_mmu_page_fault", "resolves a fault, or has the instruction emulated"),
    ("handle_mmio_page_fault", "finds that there is no memory: MMIO"),
    ("x86_emulate_instruction", "emulates an instruction"),
    ("x86_decode_emulated_instruction", "prepares it"),
    ("x86_decode_insn", "decodes it"),
    ("x86_emulate_insn", "executes it"),
    ("kvm_fetch_guest_virt", "fetches its bytes"),
  ]

  /// What a function does, in a few words; nil for one that is on no route.
  static func role(of function: String) -> String? {
    if function.hasSuffix(walkSuffix) { return walkRole }
    return roles.first { $0.0 == function }?.1 ?? handlers.first { $0.function == function }?.role
  }

  /// The handler of an exit, and whether it handles the guest's own page faults.
  static func handler(of exit: KVMExit) -> (function: String, isIntercept: Bool)? {
    handlers.first { $0.vendor == exit.vendor && $0.reason == exit.reasonName }.map { ($0.function, $0.isIntercept) }
  }
}

extension KVMExit {
  /// Whether KVM's own tables mark the page as MMIO: an EPT misconfiguration, or a nested page fault on a reserved bit
  /// (APM vol. 2, 15.25.6: EXITINFO1 bit 3), which are such marks.
  fileprivate var isMMIO: Bool {
    switch (vendor, reasonName) {
    case (.vmx, "EPT_MISCONFIG"): true
    case (.svm, "npf"): info1.map { $0 & 8 != 0 } ?? false
    default: false
    }
  }
}
