import Glibc
import X86

/// How often each kind of end was met.
struct OracleCoverage {
  private(set) var counts: [String: Int] = [:]

  mutating func count(_ walk: PageWalk) {
    for label in Self.labels(of: walk) { counts["\(walk.paging.mode.name): \(label)", default: 0] += 1 }
  }

  mutating func count(_ label: String) { counts[label, default: 0] += 1 }

  private static func labels(of walk: PageWalk) -> [String] {
    switch walk.outcome {
    case .translated(let translation): ["translated, \(translation.pageSize >> 10) KiB page"]
    case .unpaged: ["unpaged"]
    case .notCanonical: ["not canonical"]
    case .pdpteNotLoadable: ["PDPTE not loadable"]
    case .undetermined: ["undetermined"]
    case .pageFault(let fault):
      switch fault.cause {
      case .notPresent: ["not present, \(fault.structure.entryName)"]
      case .tableUnbacked: ["table outside RAM, \(fault.structure.name)"]
      case .protection(let violations): ["protection: \(violations.names)"]
      case .reservedBits(let violations): violations.map { "\($0.rule), \(fault.structure.entryName)" }
      }
    }
  }

  mutating func add(_ other: OracleCoverage) { counts.merge(other.counts, uniquingKeysWith: +) }

  func print() {
    for (label, count) in counts.sorted(by: { $0.key < $1.key }) { Swift.print("  \(count)  \(label)") }
  }
}

/// What the environment says of a run.
enum OracleSetting {
  static var seed: UInt64 { number("INQUEST_ORACLE_SEED").map { UInt64($0.magnitude) } ?? 1 }

  static func number(_ name: String) -> Int? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe Int(String(cString: value))
  }
}

extension PageWalk {
  /// The walk in full, for a report of a difference.
  var account: String {
    let steps = steps.map { step in
      let place = "\(step.structure.entryName)[\(step.index)]@\(step.entryAddress.rawValue.hexadecimal)"
      return "\(place)=\(step.entry.rawValue.hexadecimal)"
    }
    return "\(paging.mode.name), \(address.rawValue.hexadecimal), \(access.kind) by \(access.privilege): "
      + "model \(outcome); \(steps.joined(separator: " ")); \(paging)"
  }
}

extension ProtectionViolations {
  fileprivate var names: String {
    let all: [(String, ProtectionViolations)] = [
      ("read-only", .readOnly), ("supervisor only", .supervisorOnly), ("XD", .executeDisabled),
      ("SMEP", .supervisorExecution), ("SMAP", .supervisorAccess), ("key", .protectionKey),
    ]
    return all.filter { contains($0.1) }.map(\.0).joined(separator: " and ")
  }
}
