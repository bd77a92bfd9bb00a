import SystemPackage

/// The kernel's tracing file system.
struct Tracefs {
  let root: FilePath

  /// A tracepoint as tracefs describes it.
  struct Event {
    var system: String
    var name: String
    /// `common_type` of its records, and perf's `config`.
    var id: UInt64
    /// The text of its `format` file.
    var format: String
  }

  /// Finds tracefs where kernels since 4.1 have it, or under debugfs.
  init() throws(RecordingRefusal) {
    var isForbidden = false
    for path in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
      let root = FilePath(path)
      switch Self.probe(root.appending("events")) {
      case nil:
        self.root = root
        return
      case .permissionDenied?, .notPermitted?: isForbidden = true
      default: continue
      }
    }
    let paranoid = RecordingRefusal.hinderingParanoidLevel
    throw isForbidden ? .tracefsUnreadable(paranoid: paranoid) : .tracefsNotMounted(paranoid: paranoid)
  }

  private static func probe(_ path: FilePath) -> Errno? {
    do {
      try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec]).close()
      return nil
    } catch {
      return error as? Errno ?? .ioError
    }
  }

  /// The wanted events of one system (`kvm`, `kvmmmu`) that the kernel has.
  func events(of system: String, wanted: Set<String>) throws(RecordingRefusal) -> [Event] {
    let folder = root.appending("events").appending(system)
    var events: [Event] = []
    for name in directoryEntries(folder) where wanted.contains(name) {
      let event = folder.appending(name)
      do {
        let id = try wholeText(event.appending("id"))
        let format = try wholeText(event.appending("format"))
        guard let id = UInt64(id.prefix { $0.isNumber }) else { continue }
        events.append(Event(system: system, name: name, id: id, format: format))
      } catch Errno.permissionDenied {
        throw .tracefsUnreadable(paranoid: RecordingRefusal.hinderingParanoidLevel)
      } catch {
        // The event went with its module.
        continue
      }
    }
    return events.sorted { $0.name < $1.name }
  }
}
