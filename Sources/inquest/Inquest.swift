import ArgumentParser
import FoundationEssentials
import Glibc

/// The `inquest` command.
struct Inquest: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inquest",
    abstract: "Finds out why a QEMU/KVM guest died.",
    discussion: """
      inquest run -- qemu-system-x86_64 -accel kvm -kernel my.elf
      inquest examine qemu.log trace.txt

      Exit status: 3 the guest died and the cause was found, 4 it died and the cause was not found, 0 or QEMU's own \
      status when it ended by itself, 1 inquest failed, 2 usage.
      """,
    version: "0.1",
    subcommands: [
      RunCommand.self, AttachCommand.self, ExamineCommand.self, CheckCommand.self, WalkCommand.self, MapCommand.self,
      ReportCommand.self,
      StatCommand.self, ConvertCommand.self, RecordCommand.self, EventsCommand.self, CPUCommand.self, ProbeCommand.self,
      ExplainCommand.self,
    ])
}

/// Runs the command with the exit statuses that the manual promises.
@main
enum Main {
  static func main() {
    do {
      var command = try Inquest.parseAsRoot(FrontEnd.argumentsInPlaceOfQEMU())
      try command.run()
    } catch let failure as Failure {
      standardError.write("inquest: \(failure.description)\n")
      FrontEnd.report(1)
      exit(1)
    } catch {
      if let code = error as? ExitCode { FrontEnd.report(code.rawValue) }
      guard Inquest.exitCode(for: error) == .validationFailure else { Inquest.exit(withError: error) }
      standardError.write(Inquest.fullMessage(for: error) + "\n")
      exit(2)
    }
  }
}
