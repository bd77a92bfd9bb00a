import ArgumentParser
import Foundation
import Investigation
import QEMU
import X86

/// Which guest a command looks at: files, or one that runs.
struct GuestOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "A memory dump (dump-guest-memory: ELF or kdump), and what else tells of the guest: registers, a log, its ELF file.",
      valueName: "file"))
  var files: [String] = []

  /// Whether the guest runs, and may change.
  var isLive: Bool { false }

  /// The same guest in other files.
  func with(files: [String]) -> GuestOptions {
    var options = self
    options.files = files
    return options
  }

  /// Gives what is known of the guest to `body`, during which it stands still.
  func withScene<Result>(_ body: (Scene) throws -> Result) throws -> Result {
    try body(Scene(files: files))
  }
}
