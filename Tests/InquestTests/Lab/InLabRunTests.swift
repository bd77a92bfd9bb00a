import Testing

/// `inquest run` where KVM and its tracepoints are real, with nested and with shadow paging.
@Suite("in the lab: inquest run", .serialized, .enabled("make lab-test runs it") { Laboratory.isWanted })
struct InLabRunTests {
  private static let guest = ExampleGuest("one-gib-pages")

  private func run(npt: Int) async throws -> (LaboratoryJob, VerdictDocument) {
    let job = try await Laboratory.run(
      "$INQUEST run --format json -o $RESULTS/verdict -- \(try Self.guest.laboratoryCommand(cpu: "Haswell"))",
      options: ["--npt", "\(npt)"])
    return (
      job, try VerdictDocument(try job.text(of: "verdict"), of: job.finished, sourceLocation: #_sourceLocation)
    )
  }

  @Test("shadow paging goes by the guest's CPUID, which lacks 1 GiB pages: the cause is proven")
  func shadowPaging() async throws {
    let (job, verdict) = try await run(npt: 0)
    #expect(job.finished.status == 3, "\(job)")
    #expect(verdict.cause?.id == "paging.reserved-bit")
    #expect(verdict.cause?.confidence == "proven")
    #expect(verdict.evidence.contains { $0.source.contains("kvm_mmu_walker_error") })
  }

  @Test("nested paging goes by the host's processor: the guest lives")
  func nestedPaging() async throws {
    let (job, verdict) = try await run(npt: 1)
    #expect(job.finished.status == 1, "\(job)")
    #expect(verdict.outcome == "ended")
    #expect(verdict.cause == nil)
  }

  @Test(
    "KVM clears the registers at a triple fault: a probe keeps them, and goes; the case has them too",
    arguments: [0, 1])
  func clearedRegisters(npt: Int) async throws {
    let guest = ExampleGuest("null-pointer")
    let job = try await Laboratory.run(
      """
      $INQUEST run --save $RESULTS/case --format json -o $RESULTS/verdict -- \(try guest.laboratoryCommand(cpu: "qemu64"))
      status=$?
      $INQUEST examine --format json -o $RESULTS/again $RESULTS/case
      for attempt in $(seq 100); do grep -q inquest /sys/kernel/tracing/dynamic_events || break; sleep 0.1; done
      cat /sys/kernel/tracing/dynamic_events > $RESULTS/left
      exit $status
      """, options: ["--npt", "\(npt)"])
    #expect(job.finished.status == 3, "\(job)")
    for name in ["verdict", "again"] {
      let verdict = try VerdictDocument(try job.text(of: name), of: job.finished, sourceLocation: #_sourceLocation)
      #expect(verdict.cause?.id == "paging.null-pointer", "\(verdict)")
      #expect(verdict.cause?.confidence == "proven")
      #expect(verdict.evidence.contains { $0.source.contains("shutdown_interception") })
    }
    #expect(try job.text(of: "left").isEmpty)
  }

  @Test(
    "without a probe a second run under TCG has the registers, where both runs left the same in memory; the case has them too"
  )
  func secondRun() async throws {
    let guest = ExampleGuest("null-pointer")
    let job = try await Laboratory.run(
      """
      $INQUEST run --no-trace --verify --save $RESULTS/case --format json -o $RESULTS/verdict -- \
        \(try guest.laboratoryCommand(cpu: "qemu64")) 2> $RESULTS/messages
      $INQUEST examine --format json -o $RESULTS/again $RESULTS/case
      $INQUEST run --no-trace --no-save --format json -o $RESULTS/alone -- \(try guest.laboratoryCommand(cpu: "qemu64"))
      $INQUEST run --no-trace --verify --no-save --format json -o $RESULTS/other -- \
        \(try ExampleGuest("msr-not-there").laboratoryCommand(cpu: "qemu64")) 2>> $RESULTS/messages
      $INQUEST run --no-trace --verify --no-save --format json -o $RESULTS/firmware -- \
        \(try ExampleGuest("far-jump-to-no-code").laboratoryCommand(cpu: "qemu64")) 2>> $RESULTS/messages
      """, options: ["--npt", "1"])
    func verdict(_ name: String) throws -> VerdictDocument {
      try VerdictDocument(try job.text(of: name), of: job.finished, sourceLocation: #_sourceLocation)
    }
    for name in ["verdict", "again"] {
      let verdict = try verdict(name)
      #expect(verdict.cause?.id == "paging.null-pointer", "\(verdict)")
      #expect(verdict.cause?.confidence == "likely")
    }
    #expect(try verdict("alone").cause == nil)
    // It has no stack of its own: what firmware left there differs from run to run.
    #expect(try verdict("firmware").cause?.id == "segment.bad-code-selector")
    // Under TCG it lives: what that lets pass is found on the way.
    let other = try verdict("other")
    #expect(other.cause?.id == "cpu.unknown-msr")
    #expect(other.cause?.confidence == "likely")
    #expect(other.fault?.instructionPointer == "0x100010", "\(other)")
    let messages = try job.text(of: "messages")
    #expect(messages.contains("run again under TCG"), "\(messages)")
    #expect(!messages.contains("that run does not help"), "\(messages)")
  }
}
