import QEMU
import X86

extension Scene {
  /// That KVM had given up before the error that is judged, at another place: of several vCPUs each may report one, since QEMU stops
  /// them one after another (accel/kvm/kvm-accel-ops.c: kvm_vcpu_thread_fn, 7.2), and a guest may go on after one at CPL 3.
  ///
  /// - Parameter judged: The processor that is judged.
  func earlierErrors(than judged: ObservedProcessor?) -> [Evidence] {
    guard let judged, ending == .unknown else { return [] }
    var others: [(place: UInt64, source: Source)] = []
    for (place, source) in placesOfErrors
    where place != judged.state.rip && !others.contains(where: { $0.place == place }) {
      others.append((place, source))
    }
    guard let last = others.last else { return [] }
    let places = others.suffix(Self.mostPlaces).map(\.place.hexadecimal).joined(separator: ", ")
    return [
      Evidence(
        "KVM had given up before, at RIP \(places): on another processor, or on this one if it went on. This verdict is on the last error; which of them led to which, the dumps do not tell",
        last.source)
    ]
  }

  private static let mostPlaces = 4

  /// RIP in the dump behind each internal error, since QEMU was last started.
  private var placesOfErrors: [(UInt64, Source)] {
    var places: [(UInt64, Source)] = []
    var isPending = false
    for entry in log {
      switch entry.value {
      case .commandLine: (places, isPending) = ([], false)
      case .kvmInternalError: isPending = true
      case .registerDump(let dump) where isPending:
        if let pointer = dump[.rip] { places.append((pointer, entry.source)) }
        isPending = false
      default: continue
      }
    }
    return places
  }
}
