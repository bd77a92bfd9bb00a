import ArgumentParser
import Cases
import FoundationEssentials
import SystemPackage

/// Whether a run's guest is kept as a case, where, and how much of it.
struct CaseOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Keep what a colleague needs to examine this run, in a new folder, whatever the end. Unless told otherwise a guest \
      that died, or hung, is kept among your last cases ($XDG_STATE_HOME/inquest, or ~/.local/state/inquest).
      """, valueName: "folder"))
  var save: String?

  @Flag(help: "Keep no case, also if the guest dies.")
  var noSave = false

  @Flag(help: "Keep the guest's whole memory in the case, not only the pages that matter to the verdict.")
  var fullMemory = false

  @Flag(help: "Replace user names, home folders, host names and IP addresses in the case's texts.")
  var redact = false

  func validate() throws {
    if noSave, save != nil || fullMemory { throw ValidationError("--no-save leaves nothing to keep") }
    if let save, save.isEmpty { throw ValidationError("--save takes a folder's name") }
  }

  /// The options as words of a command line.
  var words: [String] {
    (save.map { ["--save", $0] } ?? []) + (noSave ? ["--no-save"] : []) + (fullMemory ? ["--full-memory"] : [])
      + (redact ? ["--redact"] : [])
  }

  /// Finds out before the run whether the folder can be made.
  func check() throws(Failure) {
    guard let save else { return }
    let names = try? FileManager.default.contentsOfDirectory(atPath: save)
    let isEmptyFolder = names?.isEmpty == true
    guard isEmptyFolder || !FileManager.default.fileExists(atPath: save) else {
      throw Failure(CaseError.occupied(save).description)
    }
    let parent = FilePath(save).removingLastComponent()
    let parentPath = parent.isEmpty ? "." : parent.string
    guard FileManager.default.isWritableFile(atPath: parentPath) else {
      throw Failure("--save: no folder can be made in \(parentPath)")
    }
  }
}
