public import Traces
public import X86

extension CPUID {
  /// What the guest was told by CPUID, as far as kvm_cpuid events of these records tell; nil where there is none.
  ///
  /// The last answer to a leaf and subleaf counts: KVM changes a few bits as the guest sets control registers. Older kernels do
  /// not record the subleaf, which is then taken for 0.
  public init?(_ records: some Sequence<KVMRecord>) {
    var latest: [LeafAndSubleaf: Entry] = [:]
    for record in records {
      guard case .cpuid(let leaf, let index, let eax, let ebx, let ecx, let edx, let found) = record.event,
        found != false
      else { continue }
      let subleaf = Self.hasSubleaves(leaf) ? index ?? 0 : 0
      latest[LeafAndSubleaf(leaf: leaf, subleaf: subleaf)] = Entry(
        leaf: leaf, subleaf: subleaf, eax: eax, ebx: ebx, ecx: ecx, edx: edx)
    }
    guard !latest.isEmpty else { return nil }
    self.init(entries: latest.values.sorted { ($0.leaf, $0.subleaf) < ($1.leaf, $1.subleaf) }, isComplete: false)
  }

  /// The same of a binary trace.
  public init?(_ trace: TraceFile) {
    var decoders = KVMDecoders(trace.context)
    var records: [KVMRecord] = []
    var cursor = trace.cursor()
    cursor.forEach { item in
      if case .event(let event) = item, let record = decoders.record(event, ifNamed: "kvm_cpuid") {
        records.append(record)
      }
      return .proceed
    }
    self.init(records)
  }

  private struct LeafAndSubleaf: Hashable {
    var leaf: UInt32
    var subleaf: UInt32
  }

  /// Software may leave anything in ECX for the other leaves (SDM vol. 2, CPUID).
  private static func hasSubleaves(_ leaf: UInt32) -> Bool {
    [4, 7, 0xB, 0xD, 0xF, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1A, 0x1D, 0x1F, 0x24, 0x8000_001D, 0x8000_0020].contains(leaf)
  }
}
