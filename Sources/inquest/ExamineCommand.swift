import ArgumentParser
import Foundation
import GuestImage
import Investigation
import KVM
import QEMU
import Reports
import Traces

/// `inquest examine`: the same verdict from what is at hand.
struct ExamineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "examine",
    abstract: "Say why a guest died, from files or a paste.",
    discussion: """
      inquest examine qemu.log trace.txt my.elf
      xclip -o | inquest examine -

      Takes what QEMU printed (register dumps, KVM's errors, -d logs), traces (trace.dat, perf.data, or as trace-cmd, perf \
      or ftrace print them) and the guest's ELF file, in any order; each is recognised by its content, and may be compressed. \
      Several files are of one death.
      """)

  @OptionGroup var reporting: ReportOptions

  @Argument(help: ArgumentHelp("Files, or - for standard input.", valueName: "file"))
  var files: [String]

  @Option(
    help: ArgumentHelp(
      "Of a trace, take only the events of this thread: a vCPU of one guest among several.", valueName: "pid"))
  var thread: Int32?

  func validate() throws {
    if files.count(where: { $0 == "-" }) > 1 { throw ValidationError("standard input can be read once only") }
  }

  func run() throws {
    var scene = Scene()
    for file in files {
      if file == "-", isatty(STDIN_FILENO) == 1 {
        standardError.write("Paste the dump or the trace, then press Ctrl-D.\n")
      }
      let input = try TraceInput(fileAt: file)
      do {
        try Exhibit(input, name: citedName(file)).add(to: &scene)
      } catch {
        throw Failure("\(nameOfFile(at: file)): \(error)")
      }
    }
    if let thread { scene.takeTrace(ofThread: thread) }
    let verdict = Investigator.verdict(on: scene)
    try reporting.write(verdict)
    throw ExitCode(verdict.exitStatus)
  }
}
