import ArgumentParser
import Foundation
import GuestImage
import Investigation
import KVM
import QEMU
import Reports
import SystemPackage

/// `inquest examine`: the same verdict from what is at hand.
struct ExamineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "examine",
    abstract: "Say why a guest died, from files or a paste.",
    discussion: """
      inquest examine qemu.log trace.txt my.elf
      xclip -o | inquest examine -

      Takes what QEMU printed (register dumps, KVM's errors, -d logs), traces as trace-cmd, perf or ftrace print them, \
      and the guest's ELF file, in any order; each is recognised by its content. Several files are of one death.
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
      let bytes = try file == "-" ? standardInput() : contents(ofFileAt: file)
      do {
        try Exhibit(bytes, name: citedName(file)).add(to: &scene)
      } catch {
        throw Failure("\(file == "-" ? "standard input" : file): \(error)")
      }
    }
    if let thread { scene.takeTrace(ofThread: thread) }
    let verdict = Investigator.verdict(on: scene)
    try reporting.write(verdict)
    throw ExitCode(verdict.exitStatus)
  }

  /// What a citation calls the file.
  private func citedName(_ file: String) -> String {
    file == "-" ? "standard input" : URL(filePath: file).lastPathComponent
  }

  private func standardInput() throws -> [UInt8] {
    if isatty(STDIN_FILENO) == 1 { standardError.write("Paste the dump or the trace, then press Ctrl-D.\n") }
    return try inquest.contents(of: .standardInput)
  }
}
