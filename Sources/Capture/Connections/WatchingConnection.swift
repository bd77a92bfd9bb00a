import QEMU
import SystemPackage

/// A way to a running QEMU that tells no events: what became of the guest is asked for now and then, or announced by a byte.
protocol WatchingConnection: LiveConnection {
  /// What becomes readable when the guest stops; nil where nothing does.
  var stopNotice: FileDescriptor? { get }
  /// Lets the guest go on if ``LiveConnection/freeze()`` stopped it, and stays connected.
  func resume()
  /// What the guest does now; one that runs goes on.
  func currentState() throws(LiveGuestError) -> RunState
}

extension LiveConnection {
  /// What QEMU says of itself in its human monitor.
  func identity() throws(LiveGuestError) -> GuestIdentity {
    guard let version = QEMUVersion(monitorText: try monitor("info version")) else {
      throw .lost(doing: "info version")
    }
    let objects = try monitor("info qom-tree /machine/unattached")
    let cpus = VirtualCPU.list(threads: try monitor("info cpus"), objects: objects)
    let usesKVM = try monitor("info kvm").hasPrefix("kvm support: enabled")
    return GuestIdentity(version: version, usesKVM: usesKVM, cpus: cpus) { name, path in
      (try? monitor("qom-get \(path) \(name)")).flatMap { JSONValue(monitorText: $0) }
    }
  }
}
