import Foundation
import Subprocess
import Testing

/// The same under KVM, where it runs guests.
@Suite(
  "inquest run: under KVM", .serialized, .enabled("KVM runs no guest on this machine") { await HostKVM.isUsable })
struct UnderKVM {
  private let haswell = ["-cpu", "Haswell", "-no-reboot"]

  /// How the guest with 1 GiB pages ends depends on the host: KVM with EPT or NPT lets it live since Linux 5.14.
  @Test("1 GiB pages: what kills the guest here is named, and what cures it here", arguments: [[], ["--no-trace"]])
  func oneGiBPages(_ options: [String]) async throws {
    let command = try ExampleGuest("one-gib-pages").command(accelerator: "kvm", haswell)
    let lives = try await runQEMU(command).standardOutput.contains("OK")
    let (finished, verdict) = try await run(command, options: options)
    guard !lives else {
      #expect(finished.status == 1, "\(finished)")
      #expect(verdict.cause == nil)
      return
    }
    #expect(finished.status == 3, "\(finished)")
    let cause = try #require(verdict.cause, "\(finished)")
    #expect(cause.id == "paging.reserved-bit")
    #expect(cause.summary.contains("bit 7, PS"))
    #expect(cause.summary.contains("CPUID 80000001H:EDX[26]"))
    #expect(cause.summary.contains("-cpu Haswell"))
    #expect(verdict.walk?.levels.last?.table == "PDPTE")
    #expect(verdict.walk?.levels.last?.value == "0x83")
    #expect(verdict.walk?.levels.last?.offendingBits == "0x80")
    #expect(verdict.fault?.symbol?.hasPrefix("main+0x") == true)
    #expect(verdict.fault?.source?.contains(/\.(swift|h):[0-9]+/) == true)
    try await expectRemedies(verdict)
    try await expectRecord(verdict, finished, isWanted: options.isEmpty)
  }

  private func expectRemedies(_ verdict: VerdictDocument) async throws {
    let option = verdict.remedies.first { $0.kind == "command-line" && $0.change.contains("+pdpe1gb") }
    if try await HostKVM.offers("pdpe1gb") {
      #expect(option?.change.contains("-cpu Haswell,+pdpe1gb") == true)
      #expect(option?.available == true)
    } else {
      #expect(verdict.remedies.allSatisfy { $0.kind != "command-line" })
    }
    #expect(verdict.remedies.contains { $0.kind == "guest" && $0.change.contains("80000001H:EDX[26]") })
  }

  /// The trace proves what registers and memory alone make likely.
  private func expectRecord(_ verdict: VerdictDocument, _ finished: FinishedCommand, isWanted: Bool) async throws {
    let isPossible = try await HostKVM.recordsTracepoints
    let isRecorded = isWanted && isPossible
    #expect(verdict.cause?.confidence == (isRecorded ? "proven" : "likely"), "\(finished)")
    #expect(verdict.evidence.contains { $0.source.contains("kvm_mmu_walker_error") } == isRecorded)
    #expect(verdict.missing.contains { $0.what.contains("kvmmmu") } == !isRecorded)
    #expect(finished.standardError.contains("tracepoints were not recorded") == (isWanted && !isPossible))
  }

  @Test("--verbose shows what is recorded, and --event decides it, also of a QEMU that a script starts")
  func recorder() async throws {
    guard try await HostKVM.recordsTracepoints else { return }
    let folder = try Folder()
    let script = try folder.write("#!/bin/sh\nqemu-system-x86_64 \"$@\"\n".utf8, to: "qemu-system-x86_64")
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
    let command = try [script] + ExampleGuest("two-mib-pages").command(accelerator: "kvm", haswell).dropFirst()
    let options = ["--verbose", "--trace-memory", "1", "-e", "kvm:kvm_pio if rw==1", "-e", "kvm_cpuid"]
    let (finished, verdict) = try await run(command, options: options)
    #expect(finished.status == 1, "\(finished)")
    #expect(verdict.outcome == "ended")
    #expect(finished.standardError.contains("recorded: kvm_cpuid, kvm_pio if rw==1\n"), "\(finished)")
    #expect(
      finished.standardError.contains(/\n[^\n]*[1-9][0-9]* events in all; .* in [1-9][0-9]* KiB\n/), "\(finished)")
    #expect(finished.standardError.contains(/verdict [0-9]+ ms after the end/), "\(finished)")
  }

  @Test("a filter that the kernel refuses costs the trace alone, and is said")
  func refusedFilter() async throws {
    guard try await HostKVM.recordsTracepoints else { return }
    let command = try ExampleGuest("two-mib-pages").command(accelerator: "kvm", haswell)
    let (finished, verdict) = try await run(command, options: ["-e", "kvm_pio if no_such_field==1"])
    #expect(finished.status == 1, "\(finished)")
    #expect(verdict.outcome == "ended")
    #expect(finished.standardError.contains("the kernel refuses a filter"), "\(finished)")
  }

  @Test("guests that do right live", arguments: ["one-gib-pages-if-offered", "two-mib-pages"])
  func lives(_ name: String) async throws {
    let (finished, verdict) = try await run(try ExampleGuest(name).command(accelerator: "kvm", haswell))
    #expect(finished.status == 1, "\(finished)")
    #expect(finished.standardOutput.contains("OK"))
    #expect(verdict.outcome == "ended")
    #expect(verdict.cause == nil)
    #expect(verdict.warnings.isEmpty, "\(verdict.warnings)")
  }

  @Test("a guest that resets the machine goes on")
  func reset() async throws {
    let folder = try Folder()
    let command = qemu(accelerator: "kvm", try BootSector.resetsOnce(by: .keyboardController).options(in: folder))
    let (finished, verdict) = try await run(command)
    #expect(finished.standardOutput == "12", "\(finished)")
    #expect(finished.status == 1)
    #expect(verdict.cause == nil)
  }

  @Test("SIGTERM to inquest ends the guest")
  func signal() async throws {
    let folder = try Folder()
    let command = qemu(accelerator: "kvm", try BootSector.runsForEver.options(in: folder))
    let finished = try await inquest(["run", "--"] + command) { running in
      try await running.awaitOutput("R")
      try running.send(.terminate)
    }
    #expect(finished.status != nil && finished.status != 3 && finished.status != 4, "\(finished)")
  }
}
