import Testing

/// `inquest probe` where kprobes are real.
@Suite("in the lab: inquest probe", .serialized, .enabled("make lab-test runs it") { Laboratory.isWanted })
struct InLabProbeTests {
  /// What is left in tracefs afterwards, in the file `left`.
  private static let leftovers =
    "cat /sys/kernel/tracing/dynamic_events > $RESULTS/left; ls /sys/kernel/tracing/instances >> $RESULTS/left"

  private func probe(npt: Int, last: Int) async throws -> LaboratoryJob {
    let guest = try ExampleGuest("one-gib-pages").laboratoryCommand(cpu: "Haswell")
    return try await Laboratory.run(
      """
      $INQUEST probe --page-walk --last \(last) -o $RESULTS/trace.dat -- \(guest) -no-reboot > $RESULTS/lines
      trace-cmd report $RESULTS/trace.dat 2>/dev/null | grep -c walk_addr_generic > $RESULTS/read
      $INQUEST examine --format json $RESULTS/trace.dat > $RESULTS/verdict
      \(Self.leftovers)
      """, options: ["--npt", "\(npt)"])
  }

  /// The last lines of the journey from the fault to the death, in order.
  @Test("the page walk that kills a guest with shadow paging: its arguments, its tables and its answer")
  func shadowPaging() async throws {
    let job = try await probe(npt: 0, last: 60)
    let text = try job.text(of: "lines")
    var rest = text[...]
    for words in [
      "kvm_exit: vcpu 0 reason write_cr3", "x86_emulate_instruction(", "x86_decode_insn(",
      "kvm_fetch_guest_virt(ctxt->eip = 0x", "gva_to_gpa = paging64_gva_to_gpa", "paging64_walk_addr_generic returns 1",
      "reason PF excp", "paging64_walk_addr_generic(walker = 0xffff", "access = 0x10 (F)",
      "mmu->gva_to_gpa = paging64_gva_to_gpa", "kvm_mmu_pagetable_walk: addr", "kvm_mmu_paging_element: pte 83 level 3",
      "kvm_mmu_walker_error: pferr 9 P|RSVD", "paging64_walk_addr_generic returns 0", "kvm_inj_exception: #PF (0x9)",
      "kvm_userspace_exit: reason KVM_EXIT_SHUTDOWN",
    ] {
      let place = rest.firstRange(of: words)
      #expect(place != nil, "\(words) in \(text)\n\(job)")
      rest = place.map { rest[$0.upperBound...] } ?? rest
    }
    #expect(try job.text(of: "left") == "")
    #expect(try job.text(of: "read").wholeMatch(of: /[1-9][0-9]*\n/) != nil)
    let verdict = try VerdictDocument(
      try job.text(of: "verdict"), of: job.finished, sourceLocation: #_sourceLocation)
    #expect(verdict.cause?.id == "paging.reserved-bit")
    #expect(
      verdict.path?.map(\.function)
        == [
          "pf_interception", "kvm_handle_page_fault", "kvm_mmu_page_fault", "paging64_page_fault",
          "paging64_walk_addr_generic", "is_rsvd_bits_set",
        ])
    #expect(verdict.path?.map(\.depth) == [0, 1, 2, 3, 4, 5])
    #expect(verdict.path?[4].given.contains("mmu_gva_to_gpa = paging64_gva_to_gpa") == true)
    #expect(verdict.path?[4].answer == "0, the error code 0x9 (P|RSVD)")
  }

  /// The guest writes to the VGA buffer: that KVM emulates, and fetches the instruction by a walk of its own. Nothing else
  /// makes it walk, and since Linux 5.14 that walk goes by the host's processor.
  @Test("with nested paging KVM walks the guest's tables for no fault, and finds nothing reserved where it emulates")
  func nestedPaging() async throws {
    let job = try await probe(npt: 1, last: 40)
    let text = try job.text(of: "lines")
    #expect(text.contains("paging64_walk_addr_generic 1,"), "\(job)")
    #expect(text.contains("paging64_walk_addr_generic returns 1"))
    #expect(text.contains("vcpu_match_mmio: gva 0xb8000"))
    #expect(!text.contains("PF excp"))
    #expect(!text.contains("kvm_mmu_walker_error"))
    #expect(try job.text(of: "left") == "")
  }

  @Test("with nested paging KVM walks no table of a guest for which it emulates nothing in long mode")
  func neverWalked() async throws {
    let guest = try ExampleGuest("divide-error").laboratoryCommand(cpu: "Haswell")
    let job = try await Laboratory.run(
      "$INQUEST probe --page-walk --last 20 -- \(guest) -no-reboot > $RESULTS/lines", options: ["--npt", "1"])
    let text = try job.text(of: "lines")
    #expect(text.contains("kvm_userspace_exit: reason KVM_EXIT_SHUTDOWN"), "\(job)")
    #expect(text.contains("paging64_walk_addr_generic 0,"), "\(text.suffix(300))")
  }

  @Test("probes go when inquest is killed; a leftover is found and removed, and nobody else's probe is touched")
  func removal() async throws {
    let job = try await Laboratory.run(
      """
      cd /sys/kernel/tracing
      echo 'p:other/mine kvm_fetch_guest_virt' >> dynamic_events
      sleep 300 & watched=$!
      $INQUEST probe kvm_fetch_guest_virt addr --pid $watched & killed=$!
      until grep -q inquest_ dynamic_events; do sleep 0.1; done
      kill -9 $killed
      until ! grep -q inquest_ dynamic_events; do sleep 0.1; done
      mkdir instances/inquest_99999 && echo 'p:inquest_99999/x kvm_fetch_guest_virt' >> dynamic_events
      $INQUEST probe kvm_fetch_guest_virt addr -- true 2> $RESULTS/mention
      $INQUEST probe --remove-leftovers
      kill $watched
      \(Self.leftovers)
      """)
    #expect(try job.text(of: "left") == "p:other/mine kvm_fetch_guest_virt\n", "\(job)")
    #expect(try job.text(of: "mention").contains("inquest_99999"))
  }

  @Test("a signal ends the recording well, and what was made is gone", arguments: ["INT", "TERM"])
  func signals(_ signal: String) async throws {
    let job = try await Laboratory.run(
      """
      sleep 300 & watched=$!
      env --default-signal=INT $INQUEST probe kvm_fetch_guest_virt addr --pid $watched > $RESULTS/lines & probe=$!
      until grep -qs 1 /sys/kernel/tracing/instances/inquest_$probe/events/inquest_$probe/enable; do sleep 0.1; done
      pkill -\(signal) -x inquest
      wait $probe; echo $? > $RESULTS/status
      kill $watched
      \(Self.leftovers)
      """)
    #expect(try job.text(of: "status") == "0\n", "\(job)")
    #expect(try job.text(of: "lines") == "\ncalls: kvm_fetch_guest_virt 0\n")
    #expect(try job.text(of: "left") == "")
  }

  @Test("a QEMU that runs already is watched until it ends; what is printed comes while the command runs")
  func attachedAndLive() async throws {
    let guest = try ExampleGuest("one-gib-pages").laboratoryCommand(cpu: "Haswell")
    let job = try await Laboratory.run(
      """
      mkfifo /tmp/monitor.in /tmp/monitor.out
      \(guest) -no-reboot -S -monitor pipe:/tmp/monitor & watched=$!
      $INQUEST probe --page-walk --pid $watched > $RESULTS/attached & probe=$!
      until grep -qs 1 /sys/kernel/tracing/instances/inquest_$probe/events/inquest_$probe/enable; do sleep 0.1; done
      echo cont > /tmp/monitor.in
      wait $probe
      $INQUEST probe kvm_fetch_guest_virt addr 'ctxt->mode' --when 'ctxt->mode == X86EMUL_MODE_REAL' --no-events -- \
        sh -c "\(guest) -no-reboot; sleep 1; cp $RESULTS/lines $RESULTS/during" > $RESULTS/lines
      $INQUEST probe kvm_fetch_guest_virt addr --when 'ctxt->mode == X86EMUL_MODE_PROT' -- true 2> $RESULTS/unknown
      """, options: ["--npt", "0"])
    let attached = try job.text(of: "attached")
    #expect(attached.contains("paging64_walk_addr_generic returns 0"), "\(job)")
    #expect(attached.contains("kvm_userspace_exit: reason KVM_EXIT_SHUTDOWN"))
    let line = /.* qemu-\S+  kvm_fetch_guest_virt\(addr = 0x[0-9a-f]+, ctxt->mode = X86EMUL_MODE_REAL\)/
    let during = try job.text(of: "during").split(separator: "\n")
    #expect(during.count > 10)
    #expect(during.allSatisfy { $0.wholeMatch(of: line) != nil }, "\(during.prefix(5))")
    #expect(try job.text(of: "lines").hasPrefix(during.joined(separator: "\n")))
    #expect(try job.text(of: "unknown").contains("ctxt->mode is never X86EMUL_MODE_PROT; it is one of"))
  }

  @Test("conditions, returns and stacks; functions that cannot be probed")
  func options() async throws {
    let guest = try ExampleGuest("two-mib-pages").laboratoryCommand(cpu: "Haswell")
    let job = try await Laboratory.run(
      """
      $INQUEST probe kvm_fetch_guest_virt addr bytes --when 'bytes < 15' --return --stack --no-events -- \(guest) \
        > $RESULTS/lines
      $INQUEST probe kvm_fetch_guest_virtual -- true 2> $RESULTS/unknown
      $INQUEST probe native_write_msr -- true 2> $RESULTS/refused
      """, options: ["--npt", "0"])
    let lines = try job.text(of: "lines").split(separator: "\n")
    let calls = lines.filter { $0.contains("kvm_fetch_guest_virt(addr = 0x") }
    #expect(!calls.contains { $0.contains("bytes = 15)") }, "\(job)")
    #expect(lines.count { $0.contains("kvm_fetch_guest_virt returns") } == calls.count)
    #expect(try job.text(of: "unknown").contains("did you mean kvm_fetch_guest_virt"), "\(job)")
    #expect(try job.text(of: "refused").contains("the kernel refuses a probe on native_write_msr"), "\(job)")
  }
}

/// `inquest probe` on any machine.
@Suite("inquest probe: what it refuses")
struct ProbeRefusalTests {
  @Test(
    "a usage that says nothing to do",
    arguments: [["probe"], ["probe", "f"], ["probe", "f", "--pid", "1", "--", "x"]])
  func usage(_ arguments: [String]) async throws {
    #expect(try await inquest(arguments).status == 2)
  }

  @Test("where functions cannot be probed, it says what is lacking")
  func refusal() async throws {
    let finished = try await inquest(["probe", "kvm_fetch_guest_virt", "addr", "--", "true"])
    guard finished.status != 0 else { return print("InquestTests: this machine lets its functions be probed") }
    #expect(finished.status == 1)
    #expect(finished.standardError.hasPrefix("inquest: "), "\(finished)")
    #expect(
      finished.standardError.contains("cannot be probed") || finished.standardError.contains("no function"),
      "\(finished)")
  }
}
