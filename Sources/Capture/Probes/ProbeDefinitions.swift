import Files
import Glibc
import KernelTypes
import SystemPackage

/// Where the kernel takes definitions of probes on its functions.
struct ProbeDefinitions {
  let tracefs: FilePath
  /// `dynamic_events`, since Linux 4.20, or `kprobe_events`.
  let file: FilePath
  private let mechanisms: [FunctionProbe.Mechanism]

  init() throws(ProbeRefusal) {
    tracefs = try Self.findTracefs()
    file = try Self.definitionsFile(of: tracefs)
    mechanisms = Self.mechanisms(of: tracefs)
  }

  static func findTracefs() throws(ProbeRefusal) -> FilePath {
    do throws(RecordingRefusal) {
      return try Tracefs().root
    } catch .tracefsUnreadable {
      throw .forbidden
    } catch {
      throw .tracefsNotMounted
    }
  }

  private static func definitionsFile(of tracefs: FilePath) throws(ProbeRefusal) -> FilePath {
    for name in ["dynamic_events", "kprobe_events"] {
      let path = tracefs.appending(name)
      guard unsafe access(path.string, F_OK) == 0 else { continue }
      guard unsafe access(path.string, W_OK) == 0 else { throw .forbidden }
      // dynamic_events may be there for other kinds of events only.
      guard unsafe access(tracefs.appending("kprobe_events").string, F_OK) == 0 else { break }
      return path
    }
    throw .noProbes
  }

  /// fprobes, where the kernel has events of them (Linux 6.5: README of tracefs), take less time at a function's entry than
  /// kprobes, and never miss a return for lack of room; kprobes reach functions that ftrace does not.
  private static func mechanisms(of tracefs: FilePath) -> [FunctionProbe.Mechanism] {
    let description = (try? wholeFile(tracefs.appending("README"))) ?? []
    return description.firstIndex(of: Array("<func-name>[%return]".utf8)) != nil ? [.fprobe, .kprobe] : [.kprobe]
  }

  /// Defines the events of a probe, each by the first mechanism that the kernel accepts for it.
  func define(_ probe: FunctionProbe, in group: String) throws(ProbeRefusal) {
    for event in probe.events {
      var refused: Errno?
      for mechanism in mechanisms {
        guard let line = probe.definition(of: event, group: group, by: mechanism) else { continue }
        do throws(Errno) {
          try appendLine(line, to: file)
          refused = nil
          break
        } catch {
          refused = error
        }
      }
      if let refused { throw .refused(function: probe.function, reason: refusal(refused)) }
    }
  }

  /// What the kernel says of the definition it refused, in words.
  private func refusal(_ error: Errno) -> String {
    let log = (try? wholeText(tracefs.appending("error_log"))) ?? ""
    let message = log.split(separator: "\n").last { $0.contains("error: ") }
    return message?.split(separator: ": ").last.map(String.init) ?? error.description
  }
}
