import ArgumentParser
import FoundationEssentials
import Glibc
import Investigation
import Reports
import SystemPackage

/// How a result is shown, the same for every command that gives one.
struct OutputOptions: ParsableArguments {
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
    /// A page that stands alone; for verdicts only.
    case html
  }

  @Option(help: "How to show the result; html is for verdicts.")
  var format = Format.text

  @Option(name: .shortAndLong, help: ArgumentHelp("Write the result to a file instead.", valueName: "file"))
  var output: String?

  /// Shows a result on standard output, or writes it to the file that was asked for.
  ///
  /// - Parameters:
  ///   - text: Gives it as text, with colour or without.
  ///   - html: Gives it as a page; nil for what has no such form, whose command asks ``requireTextOrJSON()`` first.
  func write(text: (_ usesColour: Bool) -> String, json: () -> String, html: (() -> String)? = nil) throws {
    let result = ResultStream(self)
    switch format {
    case .text: result.write(text(usesColour))
    case .json: result.write(json())
    case .html: result.write(html?() ?? text(false))
    }
    try result.finish()
  }

  /// Refuses the form that only verdicts have.
  func requireTextOrJSON() throws {
    guard format == .html else { return }
    throw ValidationError("--format html is for verdicts: inquest run and inquest examine")
  }

  /// Shows a verdict.
  func write(_ verdict: Verdict) throws {
    try write(
      text: { TerminalReport(usesColour: $0).text(of: verdict) }, json: { JSONReport().text(of: verdict) },
      html: { HTMLReport().text(of: verdict) })
  }

  var usesColour: Bool { output == nil && isColourWanted }
}

/// Colour is for a terminal, and for no one who set NO_COLOR (no-color.org).
var isColourWanted: Bool {
  let environment = ProcessInfo.processInfo.environment
  return isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
}

/// A result that is written piece by piece: to standard output as it comes, or to a file once it is whole.
final class ResultStream {
  private let output: String?
  private var pending: [UInt8] = []

  init(_ options: OutputOptions) { output = options.output }

  func write(_ text: String) { write(text.utf8) }

  func write(_ bytes: some Sequence<UInt8>) {
    pending.append(contentsOf: bytes)
    flushIfLarge()
  }

  func write(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { unsafe pending.append(contentsOf: $0) }
    flushIfLarge()
  }

  private func flushIfLarge() {
    guard output == nil, pending.count >= 1 << 16 else { return }
    standardOutput.write(pending)
    pending.removeAll(keepingCapacity: true)
  }

  /// Writes what is left.
  func finish() throws {
    guard let output else {
      standardOutput.write(pending)
      return
    }
    do {
      try Data(pending).write(to: URL(filePath: output), options: .atomic)
    } catch {
      let cause = (error as? CocoaError)?.underlying as? POSIXError
      throw Failure("cannot write \(output): \(cause.map { "\(Errno(rawValue: $0.code.rawValue))" } ?? "\(error)")")
    }
  }
}

extension Verdict {
  /// The command's exit status where QEMU's own does not count: 3 it died, or hangs, and was explained, 4 it was not, or
  /// nothing tells.
  var exitStatus: Int32 {
    switch outcome {
    case .ended: 0
    case .died, .hung: cause == nil ? 4 : 3
    case .undetermined: 4
    }
  }
}
