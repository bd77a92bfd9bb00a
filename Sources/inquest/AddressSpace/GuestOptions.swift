import ArgumentParser
import Capture
import Files
import FoundationEssentials
import GuestMemory
import Investigation
import QEMU
import X86

/// Which guest a command looks at: files, or one that runs.
struct GuestOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "A memory dump (dump-guest-memory: ELF or kdump) or a folder of pages (0x106000.bin), and what else tells of the "
        + "guest: registers, a log, its ELF file.",
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

  @Option(
    help: ArgumentHelp(
      "The QMP socket of a QEMU that runs (-qmp unix:PATH,server=on,wait=off): a path, or HOST:PORT. The guest stands still "
        + "while it is looked at, and goes on.", valueName: "socket"))
  var qmp: String?

  @Option(
    help: ArgumentHelp(
      "The gdbstub of a QEMU that runs (-s, -gdb tcp:127.0.0.1:1234): HOST:PORT, or a path. It stops the guest while it is "
        + "looked at.", valueName: "host:port"))
  var gdb: String?

  /// Whether the guest runs, and may change.
  var isLive: Bool { qmp != nil || gdb != nil }

  /// Whether no guest is named.
  var isEmpty: Bool { files.isEmpty && memory.isEmpty && !isLive }

  /// What to call the guest.
  var name: String { (files + memory.map(\.path) + [qmp, gdb].compactMap(\.self)).joined(separator: ", ") }

  func validate() throws {
    if qmp != nil && gdb != nil { throw ValidationError("--qmp and --gdb exclude each other") }
    if isLive && !memory.isEmpty { throw ValidationError("--memory is for a guest that does not run") }
  }

  /// The same guest in other files.
  func with(files: [String]) -> GuestOptions {
    var options = self
    options.files = files
    return options
  }

  /// Gives what is known of the guest to `body`, during which it stands still.
  func withScene<Result>(_ body: (Scene) throws -> Result) throws -> Result {
    if let qmp {
      return try withLiveScene(at: SocketAddress(qmp), body) { address throws(LiveGuestError) in
        try LiveGuest(qmp: address)
      }
    }
    if let gdb {
      return try withLiveScene(at: SocketAddress(gdb), body) { address throws(LiveGuestError) in
        try LiveGuest(gdb: address)
      }
    }
    return try body(complete(Scene(files: files)))
  }

  /// A running guest stands still until `body` has returned. What the files tell is added.
  private func withLiveScene<Result>(
    at address: SocketAddress, _ body: (Scene) throws -> Result,
    connect: (SocketAddress) throws(LiveGuestError) -> LiveGuest
  ) throws -> Result {
    let guest: LiveGuest
    let live: LiveScene
    do throws(LiveGuestError) {
      guest = try connect(address)
      try guest.freeze()
      live = try guest.scene()
    } catch {
      throw Failure(error.description)
    }
    defer { guest.thaw() }
    let isHere = if case .unix = address { true } else { false }
    var scene = Scene(live, identity: guest.identity, over: qmp == nil ? "gdbstub" : "QMP", isHere: isHere)
    try scene.add(files: files)
    return try body(complete(scene))
  }

  /// Adds what the other options tell.
  private func complete(_ scene: Scene) throws -> Scene {
    var scene = scene
    if !memory.isEmpty { scene.take(try MemoryDump(rawMemory: memory)) }
    if let cpu {
      scene.commandLine = QEMUCommandLine(
        program: "qemu-system-x86_64", arguments: (scene.commandLine?.arguments ?? []) + ["-cpu", cpu])
    }
    return scene
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

  /// Nil where no address is given, or a file has the whole of it for its name.
  init?(withAddress argument: String) {
    guard argument.contains("@"), !FileManager.default.fileExists(atPath: argument) else { return nil }
    self.init(argument: argument)
  }
}

extension MemoryDump {
  /// Memory out of the files that were named; the earlier ones count where they overlap.
  init(rawMemory arguments: [RawMemoryArgument]) throws(Failure) {
    var images: [MemoryImage] = []
    for argument in arguments {
      images.append(MemoryImage(try FileInput(fileAt: argument.path).memory, at: PhysicalAddress(argument.base)))
    }
    try self.init(images, of: arguments.map(\.path).joined(separator: ", "))
  }

  /// Memory out of raw images.
  ///
  /// - Parameter name: What an error calls them.
  init(_ images: [MemoryImage], of name: String) throws(Failure) {
    do throws(FileError) {
      try self.init(images)
    } catch {
      throw Failure("\(name): \(error)")
    }
  }
}
