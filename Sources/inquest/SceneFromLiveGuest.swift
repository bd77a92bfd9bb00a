import Capture
import Investigation
import QEMU

extension Scene {
  /// What a running QEMU tells of its guest now.
  ///
  /// - Parameters:
  ///   - way: How it was asked (`QMP`, `gdbstub`).
  ///   - isHere: Whether it runs on this host, whose facts then count.
  init(_ live: LiveScene, identity: GuestIdentity?, over way: String, isHere: Bool) {
    self.init()
    memory = live.memory
    memoryMap = live.memory.map
    accelerator = Self.accelerator(identity)
    processors = live.registers.compactMap { dump in
      dump.state.map {
        ObservedProcessor(index: dump.cpu ?? 0, state: $0, source: .registers("\(way): info registers"))
      }
    }
    takeFeatures(identity)
    if isHere { host = HostFacts(asking: accelerator?.value) }
  }
}
