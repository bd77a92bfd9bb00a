import Foundation
import Testing

/// A guest of Guests/, as `make -C Guests` builds it.
struct ExampleGuest: Sendable, CustomTestStringConvertible {
  let name: String

  init(_ name: String) { self.name = name }

  var testDescription: String { name }

  /// The same guest with its mistake mended.
  var cured: ExampleGuest { ExampleGuest("\(name)-cured") }

  func path() throws -> String {
    let path = URL(filePath: #filePath).appending(path: "../../../../Guests/build/\(name).elf").standardizedFileURL.path
    try #require(FileManager.default.fileExists(atPath: path), "there is no \(path): make -C Guests builds it")
    return path
  }

  /// How a user runs it: its console on the terminal, and a way out that makes QEMU's status 1.
  func command(accelerator: String = "tcg", _ options: [String] = []) throws -> [String] {
    qemu(accelerator: accelerator, ["-kernel", try path()] + options)
  }
}

/// A QEMU command line with the console on standard input and output, and isa-debug-exit at port F4H.
func qemu(accelerator: String = "tcg", _ options: [String]) -> [String] {
  ["qemu-system-x86_64", "-accel", accelerator, "-m", "128", "-display", "none", "-serial", "stdio"]
    + ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"] + options
}
