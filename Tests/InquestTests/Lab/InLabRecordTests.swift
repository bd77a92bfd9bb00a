import Testing

/// `inquest record` where both ways to record are open.
@Suite("in the lab: inquest record", .serialized, .enabled("make lab-test runs it") { Laboratory.isWanted })
struct InLabRecordTests {
  @Test("trace-cmd and Inquest read the same lines, and tracefs is left as it was", arguments: ["perf", "tracefs"])
  func ways(_ way: String) async throws {
    let guest = try ExampleGuest("two-mib-pages").laboratoryCommand(cpu: "Haswell")
    let job = try await Laboratory.run(
      """
      $INQUEST record --through \(way) -o $RESULTS/trace.dat -- \(guest) > $RESULTS/lines
      head() { sed -E 's/^( *[^ ]+ +\\[[0-9]+\\] +[0-9.]+: +[a-z_0-9]+:).*/\\1/; s/ +/ /g' | grep -v ^cpus=; }
      trace-cmd report $RESULTS/trace.dat 2>/dev/null | head > /tmp/theirs
      $INQUEST report $RESULTS/trace.dat | head > /tmp/ours
      cmp /tmp/theirs /tmp/ours && grep -c kvm_exit: /tmp/ours > $RESULTS/exits
      $INQUEST record --through \(way) --flight -b 64 -e kvm:kvm_exit -o $RESULTS/end.dat -- \(guest) > $RESULTS/lines
      $INQUEST report $RESULTS/end.dat | grep -c kvm_exit: > $RESULTS/last
      ($INQUEST record --through \(way) -a -o $RESULTS/killed.dat & sleep 1; kill -KILL $!; wait; sleep 2) 2>/dev/null
      ls /sys/kernel/tracing/instances > $RESULTS/left; cat /sys/kernel/tracing/events/kvm/enable >> $RESULTS/left
      """)
    let exits = try Int(job.text(of: "exits").dropLast()) ?? 0
    let last = try Int(job.text(of: "last").dropLast()) ?? 0
    #expect(exits > 1000, "\(job)")
    #expect(last > 100 && last < exits, "\(job)")
    #expect(try job.text(of: "left") == "0\n", "\(job)")
  }
}
