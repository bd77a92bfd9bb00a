import SystemPackage

/// The kernel's tracing file system.
struct Tracefs {
  let root: FilePath

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

  /// The systems that have tracepoints, by name.
  var systems: [String] { directoryEntries(root.appending("events")).sorted() }

  /// The tracepoints of some systems that a selector takes, by name; the first that takes one gives the filter.
  func tracepoints(
    in systems: [String], chosenBy selectors: [TracepointSelector]
  ) throws(RecordingRefusal) -> [Tracepoint] {
    var chosen: [Tracepoint] = []
    for system in systems {
      for name in directoryEntries(root.appending("events").appending(system)).sorted() {
        guard let selector = selectors.first(where: { $0.takes(name, of: system) }) else { continue }
        guard let tracepoint = try tracepoint(name, of: system, filter: selector.filter) else { continue }
        chosen.append(tracepoint)
      }
    }
    guard !chosen.isEmpty else { throw .noTracepoints }
    return chosen
  }

  /// Nil for what is no tracepoint, or went with its module.
  func tracepoint(
    _ name: String, of system: String, filter: String?
  ) throws(RecordingRefusal) -> Tracepoint? {
    let folder = root.appending("events").appending(system).appending(name)
    do {
      let id = try wholeText(folder.appending("id"))
      let format = try wholeText(folder.appending("format"))
      guard let id = UInt64(id.prefix { $0.isNumber }) else { return nil }
      return Tracepoint(system: system, name: name, id: id, format: format, filter: filter)
    } catch Errno.permissionDenied {
      throw .tracefsUnreadable(paranoid: RecordingRefusal.hinderingParanoidLevel)
    } catch {
      return nil
    }
  }
}
