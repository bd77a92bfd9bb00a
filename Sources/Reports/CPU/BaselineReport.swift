public import QEMU
import X86

/// `inquest cpu --baseline`: a `-cpu` that works on every one of several hosts.
public struct BaselineReport: CPUReport {
  let baseline: ModelBaseline
  let table: CPUModelTable

  public init(_ baseline: ModelBaseline, table: CPUModelTable) {
    self.baseline = baseline
    self.table = table
  }

  private var best: ModelBaseline.Candidate? { baseline.candidates.first }

  /// The richer models that come nearest, one of a family.
  private var next: [ModelBaseline.Candidate] {
    guard let best else { return [] }
    var families = [best.model.family]
    var next: [ModelBaseline.Candidate] = []
    for candidate in baseline.candidates where !candidate.missing.isEmpty && next.count < 3 {
      let isRicher = candidate.model.features.processorsOwn.count > best.model.features.processorsOwn.count
      if !isRicher || families.contains(candidate.model.family) { continue }
      families.append(candidate.model.family)
      next.append(candidate)
    }
    return next
  }

  private func name(_ candidate: ModelBaseline.Candidate) -> String { table.plainName(of: candidate.model) }

  public func write(to page: inout CPUPage) {
    guard let best else { return }
    page.title("-cpu \(best.text(named: name(best))) works on all \(baseline.hosts.count) hosts")
    let level = MicroarchitectureLevel.highest(of: baseline.common)?.name
    page.entry("model", "\(best.model.name) of QEMU \(table.version), \(best.model.vendor)")
    page.entry("level", "\(level ?? "less than x86-64-v1") is common to all")
    page.entry("all", "-cpu \(best.fullText(named: name(best))) has all that they have in common")
    page.section("Hosts")
    for host in baseline.hosts {
      page.item(
        "\(host.name): \(host.vendor), \(MicroarchitectureLevel.highest(of: host.features)?.name ?? "below x86-64-v1")")
    }
    if Set(baseline.hosts.map(\.vendor)).count > 1 {
      page.item("Their vendors differ: a guest that moves sees another vendor, and most systems do not bear that.")
    }
    guard !next.isEmpty else { return }
    page.section("What stands in the way of others")
    for candidate in next { page.item("\(name(candidate)): \(obstacles(candidate))") }
  }

  /// Which host lacks what of a model.
  private func obstacles(_ candidate: ModelBaseline.Candidate) -> String {
    let lacking = baseline.hosts(lacking: candidate.missing)
    if lacking.count == baseline.hosts.count, Set(lacking.map(\.lacks)).count == 1 {
      return "every host lacks \(listed(names(candidate.missing)))"
    }
    return lacking.map { "\($0.host.name) lacks \(listed(names($0.lacks)))" }.joined(separator: "; ")
  }

  public var json: String {
    jsonText(
      Document(
        qemu: table.version, cpu: best.map { $0.text(named: name($0)) },
        cpuWithAll: best.map { $0.fullText(named: name($0)) },
        model: best?.model.name, level: MicroarchitectureLevel.highest(of: baseline.common)?.name,
        common: names(baseline.common),
        hosts: baseline.hosts.map { HostDocument(name: $0.name, vendor: $0.vendor, features: names($0.features)) },
        models: baseline.candidates.filter(\.missing.isEmpty).map(\.model.name)))
  }

  private struct Document: Encodable {
    let schema = cpuSchema
    let qemu: String
    @Null var cpu: String?
    @Null var cpuWithAll: String?
    @Null var model: String?
    @Null var level: String?
    let common: [String]
    let hosts: [HostDocument]
    let models: [String]
  }

  private struct HostDocument: Encodable {
    let name, vendor: String
    let features: [String]
  }
}
