import Investigation
import X86

// What a verdict's parts are called, whatever they are shown on.

extension Fault {
  /// `#PF, error code 0x9 (P|RSVD), at address 0x10006d`.
  var description: String {
    var text = vector.name
    if let errorCode {
      text += ", error code \(errorCode.hexadecimal)"
      let names = PageFaultErrorCode(rawValue: errorCode).names
      if vector == .pageFault, !names.isEmpty { text += " (\(names.joined(separator: "|")))" }
    }
    if let address { text += ", at address \(address.rawValue.hexadecimal)" }
    return text
  }
}

extension Source {
  /// The source, with the time where it is a record of a trace.
  var citation: String {
    guard case .trace(let event, let time?) = self else { return description }
    return "\(event) \(seconds(time))"
  }
}

extension Remedy.Kind {
  var words: String {
    switch self {
    case .commandLine: "QEMU"
    case .guest: "guest"
    case .host: "host"
    }
  }
}

extension Remedy {
  /// Whether the change can work here, and whether it was tried.
  var standing: String {
    switch (kind == .guest ? nil : available, verified) {
    case (_, true?): "tried: the guest lived on"
    case (_, false?): "tried: no cure by itself"
    case (true?, nil): "possible on this host; not tried"
    case (false?, nil): "not possible on this host"
    case (nil, nil): "not tried"
    }
  }
}
