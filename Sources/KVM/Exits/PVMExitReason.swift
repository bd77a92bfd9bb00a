/// Why a guest of kvm_pvm was left: the vector of an exception, or a number above all vectors.
///
/// kvm_pvm is not part of Linux. Its trees agree on these numbers and differ on the others, whose names are therefore
/// known only to the recording's own print format: "KVM: x86/PVM: Support for kvm_exit() tracepoint" (RFC patch 42 of
/// 73, February 2024), and uapi/asm/pvm_trace.h of later trees.
public enum PVMExitReason {
  /// The name of a reason; nil where the trees differ.
  public static func name(of reason: UInt32) -> String? { names.name(of: reason) }

  /// The reason of this name; nil where the trees differ.
  public static func reason(named name: String) -> UInt32? { names.value(named: name) }

  private static let names = NameTable([
    (0, "DE excp"), (1, "DB excp"), (2, "NMI excp"), (3, "BP excp"), (4, "OF excp"), (5, "BR excp"), (6, "UD excp"),
    (7, "NM excp"), (8, "DF excp"), (10, "TS excp"), (12, "SS excp"), (13, "GP excp"), (14, "PF excp"),
    (16, "MF excp"), (17, "AC excp"), (18, "MC excp"), (19, "XM excp"), (20, "VE excp"), (1 << 16, "SYSCALL"),
    (2 << 16, "HYPERCALL"), (3 << 16, "ERETU"),
  ])

  /// Whether only kvm_pvm prints this name, in any of its trees.
  static func isOwn(name: String) -> Bool {
    switch name {
    case "NMI excp", "XM excp", "VE excp", "SYSCALL", "HYPERCALL", "ERETU", "ERETS", "INTERRUPT", "INT80",
      "FAILED_VMENTRY":
      true
    default: name.hasPrefix("HC_")
    }
  }
}
