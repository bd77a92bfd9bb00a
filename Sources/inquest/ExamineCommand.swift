import ArgumentParser
import Cases
import Files
import FoundationEssentials
import GuestImage
import Investigation
import KVM
import QEMU
import Reports
import SystemPackage
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

      Takes what QEMU printed (register dumps, KVM's errors, -d logs), what Bochs, VirtualBox, Xen, bhyve, kvmtool, \
      Firecracker and its kin print, registers as EDK2, Linux, the BSDs, other kernels and GDB show them at an exception, the host's dmesg, traces (trace.dat, perf.data, or as trace-cmd, perf \
      or ftrace print them) and the guest's ELF file, in any order; each is recognised by its content, and may be compressed. \
      A case folder, as inquest run keeps it, holds all of that. Where a file has the command line, what -kernel names is taken too, unless it has changed since. \
      Several files are of one death. Memory is taken from dumps (dump-guest-memory: ELF or kdump), and from a copy of it (pmemsave) \
      as FILE@ADDRESS, where ADDRESS is that of its first byte.

      inquest examine case-20261128T082604-4711 --redact --save for-a-colleague
      """)

  @OptionGroup var output: OutputOptions

  @Argument(help: ArgumentHelp("Files, or - for standard input.", valueName: "file"))
  var files: [String]

  @Option(
    help: ArgumentHelp(
      "Of a trace, take only the events of this thread: a vCPU of one guest among several.", valueName: "pid"))
  var thread: Int32?

  @Option(help: ArgumentHelp("Write the case that is examined once more, as a new folder.", valueName: "folder"))
  var save: String?

  @Flag(help: "With --save: replace user names, home folders, host names and IP addresses in the new case's texts.")
  var redact = false

  func validate() throws {
    if redact, save == nil {
      throw ValidationError("--redact leaves a case as it is: --save names a folder for another")
    }
    if save?.isEmpty == true { throw ValidationError("--save takes a folder's name") }
    if files.count(where: { $0 == "-" }) > 1 { throw ValidationError("standard input can be read once only") }
  }

  func run() throws {
    var scene = try Scene(files: files)
    scene.image = scene.image ?? GuestImage(of: scene.commandLine, unchangedSince: files)
    scene.kernelFile =
      scene.kernelFile
      ?? LinuxKernelFile(of: scene.commandLine, unchangedSince: files).map {
        Sourced($0, .image(citedName(scene.commandLine?.kernelPath ?? "-kernel")))
      }
    if let thread { scene.takeTrace(ofThread: thread) }
    let verdict = Investigator.verdict(on: scene)
    try output.write(verdict)
    if let save { try writeAgain(to: FilePath(save)) }
    throw ExitCode(verdict.exitStatus)
  }

  private func writeAgain(to path: FilePath) throws(Failure) {
    guard let kept = files.first(where: { $0 != "-" && Case.isCase(at: FilePath($0)) }) else {
      throw Failure("--save writes a case again, and none of the files is one")
    }
    do throws(CaseError) {
      try Case(at: FilePath(kept)).write(to: path, pages: nil, redaction: redact ? .ofThisHost : nil)
    } catch {
      throw Failure("\(path): \(error)")
    }
    standardError.write("\(path.caseLine)\n")
  }
}
