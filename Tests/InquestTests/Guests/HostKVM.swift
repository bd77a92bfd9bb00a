import Foundation
import Testing

/// What KVM can do on this machine, found out without Inquest.
enum HostKVM {
  /// Whether KVM runs a guest here: the device may be there and of no use. Says so where it does not.
  static var isUsable: Bool {
    get async { await whyNot.value == nil }
  }

  private static let whyNot = Task<String?, Never> {
    let reason = await reasonAgainst()
    if let reason { print("InquestTests: nothing is tested under KVM: \(reason)") }
    return reason
  }

  private static func reasonAgainst() async -> String? {
    guard unsafe access("/dev/kvm", R_OK | W_OK) == 0 else { return "/dev/kvm cannot be opened" }
    do {
      let command = try ExampleGuest("two-mib-pages").command(accelerator: "kvm")
      let finished = try await runQEMU(command)
      return finished.status == 1 && finished.standardOutput.contains("OK") ? nil : "\(finished)"
    } catch {
      return "\(error)"
    }
  }

  /// Whether this user may record KVM's tracepoints, as perf has it.
  static var recordsTracepoints: Bool {
    get async throws {
      try await Command("perf", ["stat", "-e", "kvm:kvm_exit,kvmmmu:kvm_mmu_paging_element", "true"]).run().status == 0
    }
  }

  /// Whether MOVBE ends a guest whose CPUID denies it: KVM emulates it, or the processor has none.
  static var refusesMOVBE: Bool {
    get async throws {
      let command = try ExampleGuest("movbe-not-offered").command(accelerator: "kvm", ["-cpu", "qemu64", "-no-reboot"])
      return try await !runQEMU(command).standardOutput.contains("OK")
    }
  }

  /// Whether KVM can give a guest `feature`.
  static func offers(_ feature: String) async throws -> Bool { try await takes("base,+lm,+\(feature)") }

  /// Whether KVM can give a guest all of this `-cpu`: with `enforce`, QEMU refuses to start where it cannot.
  static func takes(_ cpu: String) async throws -> Bool {
    // A QEMU that refuses is gone before it could read "quit": who writes into its pipe then gets SIGPIPE, so let echo be
    // the one.
    let command = Command(
      "bash",
      ["-c", "echo quit | exec \"$0\" \"$@\"", "qemu-system-x86_64", "-accel", "kvm", "-cpu", "\(cpu),enforce", "-S"]
        + ["-display", "none", "-monitor", "stdio"])
    return try await command.run().status == 0
  }
}

/// Runs a QEMU command line as it is, without Inquest.
func runQEMU(_ command: [String]) async throws -> FinishedCommand {
  try await Command(command[0], Array(command.dropFirst())).run()
}
