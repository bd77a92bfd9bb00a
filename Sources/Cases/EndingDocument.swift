import Capture
import QEMU

/// A ``GuestEnding`` in JSON: its name, and what belongs to it.
struct EndingDocument: Codable {
  var name: String
  /// QEMU's exit status.
  var status: Int32?
  var signal: Int32?
  /// QEMU's name for the state of the machine; of a QEMU that did not answer, what its main thread did.
  var state: String?
  /// What QEMU said of the guest's panic.
  var panic: JSONValue?

  init(_ ending: GuestEnding) {
    name = ""
    switch ending {
    case .reset: name = "reset"
    case .shutDown: name = "shut-down"
    case .poweroff: name = "poweroff"
    case .panicked(let panic): (name, self.panic) = ("panicked", panic)
    case .internalError: name = "internal-error"
    case .ioError: name = "io-error"
    case .watchdog: name = "watchdog"
    case .timedOut: name = "timed-out"
    case .stalled: name = "stalled"
    case .stopped(let state): (name, self.state) = ("stopped", state.rawValue)
    case .exited(let status): (name, self.status) = ("exited", status)
    case .signalled(let signal): (name, self.signal) = ("signalled", signal)
    case .interrupted(let signal): (name, self.signal) = ("interrupted", signal)
    case .gone: name = "gone"
    case .silent(let silence): (name, state) = ("silent", silence?.rawValue)
    case .refusedToStart(let end):
      name = "refused-to-start"
      switch end {
      case .exited(let status): self.status = status
      case .signalled(let signal): self.signal = signal
      }
    }
  }

  /// The ending; an error where the name is none or what belongs to it is not there.
  var ending: GuestEnding {
    get throws(CaseError) {
      switch name {
      case "reset": return .reset
      case "shut-down": return .shutDown
      case "poweroff": return .poweroff
      case "panicked": return .panicked(panic)
      case "internal-error": return .internalError
      case "io-error": return .ioError
      case "watchdog": return .watchdog
      case "timed-out": return .timedOut
      case "stalled": return .stalled
      case "gone": return .gone
      case "silent": return .silent(state.flatMap(Silence.init(rawValue:)))
      case "stopped": return .stopped(RunState(rawValue: try needed(state, "state")))
      case "exited": return .exited(status: try needed(status, "status"))
      case "signalled": return .signalled(try needed(signal, "signal"))
      case "interrupted": return .interrupted(signal: try needed(signal, "signal"))
      case "refused-to-start":
        if let signal { return .refusedToStart(.signalled(signal)) }
        return .refusedToStart(.exited(status: try needed(status, "status")))
      default: throw malformed("no ending is called \(name)")
      }
    }
  }

  private func needed<Value>(_ value: Value?, _ key: String) throws(CaseError) -> Value {
    guard let value else { throw malformed("the ending \(name) has no \(key)") }
    return value
  }

  private func malformed(_ reason: String) -> CaseError {
    .malformed(file: CaseFormat.File.document.rawValue, reason: reason)
  }
}
