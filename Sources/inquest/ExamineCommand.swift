import ArgumentParser
import Files
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
      inquest examine case-20261128T082604-4711
      xclip -o | inquest examine -

      Takes what QEMU printed (register dumps, KVM's errors, -d logs), traces (trace.dat, perf.data, or as trace-cmd, perf \
      or ftrace print them) and the guest's ELF file, in any order; each is recognised by its content, and may be compressed. \
      A case folder, as inquest run keeps it, holds all of that. Where a file has the command line, what -kernel names is taken too, unless it has changed since. \
      Several files are of one death.
      """)

  @OptionGroup var output: OutputOptions

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
    var scene = try Scene(files: files)
    scene.image = scene.image ?? GuestImage(of: scene.commandLine, unchangedSince: files)
    if let thread { scene.takeTrace(ofThread: thread) }
    let verdict = Investigator.verdict(on: scene)
    try output.write(verdict)
    throw ExitCode(verdict.exitStatus)
  }
}
