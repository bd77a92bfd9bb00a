import Investigation
import X86

/// A verdict with something in every part.
func sampleVerdict() -> Verdict {
  var verdict = Verdict(outcome: .died, ending: "The guest died of a triple fault.")
  verdict.cause = Cause(
    id: "paging.reserved-bit", title: "A page-table entry has a reserved bit set",
    summary: "The PDPTE 0x83 maps a 1 GiB page, and this processor has none: CPUID 80000001H:EDX[26] is 0.",
    confidence: .proven)
  var fault = Fault(
    vector: .pageFault, errorCode: 9, address: LinearAddress(0x10006d), instructionPointer: LinearAddress(0x10006d))
  fault.symbol = "_start+0x6d"
  verdict.fault = fault
  verdict.walk = WalkAccount(
    address: LinearAddress(0x10006d), root: 0x102000,
    levels: [
      .init(
        table: "PML4E", index: 0, entryAddress: PhysicalAddress(0x102000), value: 0x103003, flags: ["P", "RW"],
        offendingBits: 0, verdict: "ok"),
      .init(
        table: "PDPTE", index: 0, entryAddress: nil, value: 0x83, flags: ["P", "RW", "PS"], offendingBits: 0x80,
        verdict: "bit 7 (PS) is reserved here"),
    ])
  verdict.chain = [Evidence("#PF (0x9) was injected", .trace(event: "kvm_inj_exception", time: 10_631_826_000))]
  verdict.remedies = [
    Remedy(kind: .commandLine, change: "-cpu Haswell,+pdpe1gb", reason: "It offers 1 GiB pages.", available: true)
  ]
  verdict.warnings = [
    Warning(
      cause: Cause(id: "paging.reserved-bit", title: "t", summary: "s", confidence: .likely),
      condition: "KVM with shadow paging", walk: nil, remedies: [])
  ]
  verdict.observations = [Evidence("Paging was just turned on", .registers("QMP: info registers"))]
  verdict.evidence = [Evidence("PDPTE 0x83", .guestMemory)]
  verdict.missing = [Missing(what: "a trace", how: "run it as root")]
  return verdict
}
