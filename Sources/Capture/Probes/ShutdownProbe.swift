import Glibc
import KVM
import KernelTypes
import Synchronization
import SystemPackage

/// A probe on the function in which KVM on AMD clears a vCPU's registers at a triple fault, so that they are not lost.
///
/// It is met once, at the death, and costs a guest nothing while it lives. It is defined in a group of its own, and removed
/// by a process of its own when this one ends, however it ends.
final class ShutdownProbe {
  let tracepoint: Tracepoint
  private let guardian: Guardian

  /// Whether the KVM of this machine clears registers at a triple fault.
  static var isOfUse: Bool { !directoryEntries(FilePath("/sys/module/\(module)")).isEmpty }

  private static let module = "kvm_amd"
  /// Of the groups that this process has made; several recorders may be there at once.
  private static let count = Atomic<Int>(0)

  /// Defines the probe; nothing is recorded yet.
  init() throws(ProbeRefusal) {
    let definitions = try ProbeDefinitions()
    let probe = try Self.probe()
    let number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
    let group = "\(ProbeSession.prefix)\(getpid())_\(number)"
    guardian = try Guardian(instance: nil, definitions: definitions.file, group: group, events: probe.events)
    try definitions.define(probe, in: group)
    let defined = try? Tracefs().tracepoint(probe.function, of: group, filter: nil)
    guard let defined else {
      throw .system(doing: "reading the format of \(group)/\(probe.function)", errno: ENOENT)
    }
    tracepoint = defined
  }

  /// Looking the places up in the kernel's types takes longer than all else that is done before a guest starts, so they are
  /// kept for as long as the module is the same.
  private static func probe() throws(ProbeRefusal) -> FunctionProbe {
    let cache = BuildID.ofModule(module).flatMap { CacheFile(named: "shutdown-registers-1-\($0)") }
    if let places = cache?.text?.split(separator: "\n"),
      let probe = RegistersAtShutdown.probe(fetchingFrom: places)
    {
      return probe
    }
    let probe = try probeByTypes()
    cache?.keep(probe.arguments.map { "\($0.place)\n" }.joined())
    return probe
  }

  private static func probeByTypes() throws(ProbeRefusal) -> FunctionProbe {
    let name = RegistersAtShutdown.function
    guard let (function, types) = try KernelFunctions().function(named: name, of: module) else {
      throw .refused(function: name, reason: "\(module) has no such function")
    }
    do throws(ResolutionError) {
      return try RegistersAtShutdown.probe(on: function, describedBy: types)
    } catch {
      throw .refused(function: name, reason: error.reason)
    }
  }
}
