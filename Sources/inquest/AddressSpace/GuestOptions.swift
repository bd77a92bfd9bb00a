import ArgumentParser
import Files
import GuestMemory
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

  @Option(
    help: ArgumentHelp(
      "A copy of physical memory, as pmemsave makes it, and the address of its first byte in hexadecimal, 0 if left out; "
        + "may be given again.", valueName: "file[@base]"))
  var memory: [RawMemoryArgument] = []

  @Option(
    help: ArgumentHelp("The guest's -cpu, where nothing else tells its CPUID (Haswell,+pdpe1gb).", valueName: "model"))
  var cpu: String?

  /// Whether the guest runs, and may change.
  var isLive: Bool { false }

  /// Whether no guest is named.
  var isEmpty: Bool { files.isEmpty && memory.isEmpty }

  /// What to call the guest.
  var name: String { (files + memory.map(\.path)).joined(separator: ", ") }

  /// The same guest in other files.
  func with(files: [String]) -> GuestOptions {
    var options = self
    options.files = files
    return options
  }

  /// Gives what is known of the guest to `body`, during which it stands still.
  func withScene<Result>(_ body: (Scene) throws -> Result) throws -> Result {
    var scene = try Scene(files: files)
    if !memory.isEmpty { scene.take(try MemoryDump(rawMemory: memory)) }
    if let cpu {
      scene.commandLine = QEMUCommandLine(
        program: "qemu-system-x86_64", arguments: (scene.commandLine?.arguments ?? []) + ["-cpu", cpu])
    }
    return try body(scene)
  }
}

/// `FILE@BASE`, or a file whose first byte is at physical address 0.
struct RawMemoryArgument: ExpressibleByArgument {
  let path: String
  let base: UInt64

  init?(argument: String) {
    guard let at = argument.lastIndex(of: "@") else {
      (path, base) = (argument, 0)
      return
    }
    guard let base = HexadecimalArgument(argument: String(argument[argument.index(after: at)...])) else { return nil }
    (path, self.base) = (String(argument[..<at]), base.value)
  }
}

extension MemoryDump {
  /// Memory out of the files that were named; the earlier ones count where they overlap.
  fileprivate init(rawMemory arguments: [RawMemoryArgument]) throws(Failure) {
    var images: [MemoryImage] = []
    for argument in arguments {
      images.append(MemoryImage(try FileInput(fileAt: argument.path).memory, at: PhysicalAddress(argument.base)))
    }
    do throws(FileError) {
      try self.init(images)
    } catch {
      throw Failure(error.description)
    }
  }
}
