import ArgumentParser
import Foundation
import Glibc
import Investigation
import Reports
import SystemPackage

/// How a verdict is shown, the same for every command that gives one.
struct ReportOptions: ParsableArguments {
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
  }

  @Option(help: "How to show the verdict.")
  var format = Format.text

  @Option(name: .shortAndLong, help: ArgumentHelp("Write the verdict to a file instead.", valueName: "file"))
  var output: String?

  /// Shows the verdict on standard output, or writes it to the file that was asked for.
  func write(_ verdict: Verdict) throws {
    let text: String
    switch format {
    case .text: text = TerminalReport(usesColour: output == nil && isColourWanted).text(of: verdict)
    case .json: text = JSONReport().text(of: verdict)
    }
    guard let output else {
      standardOutput.write(text)
      return
    }
    do {
      try text.write(toFile: output, atomically: true, encoding: .utf8)
    } catch {
      throw Failure("cannot write \(output): \(error.localizedDescription)")
    }
  }
}

/// Colour is for a terminal, and for no one who set NO_COLOR (no-color.org).
var isColourWanted: Bool {
  let environment = ProcessInfo.processInfo.environment
  return isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
}

extension Verdict {
  /// The command's exit status where QEMU's own does not count: 3 it died and was explained, 4 it died and was not, or
  /// nothing tells.
  var exitStatus: Int32 {
    switch outcome {
    case .ended: 0
    case .died: cause == nil ? 4 : 3
    case .undetermined: 4
    }
  }
}
