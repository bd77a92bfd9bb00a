import Foundation
import Testing

/// A file that cannot be examined.
struct UnusableFile: Sendable, CustomTestStringConvertible {
  let testDescription: String
  /// Makes it, and returns its path.
  let make: @Sendable (Folder) throws -> String

  static let all: [UnusableFile] = [
    UnusableFile(testDescription: "missing") { $0.path("missing") },
    UnusableFile(testDescription: "a folder") { try $0.makeFolder("folder") },
    UnusableFile(testDescription: "empty") { try $0.write([], to: "empty.log") },
    UnusableFile(testDescription: "a single byte") { try $0.write([0], to: "byte") },
    UnusableFile(testDescription: "binary garbage") { try $0.write(garbage, to: "garbage.bin") },
    UnusableFile(testDescription: "a migration stream") {
      try $0.write(Array("QEVM".utf8) + [0, 0, 0, 3] + garbage, to: "state.mig")
    },
    UnusableFile(testDescription: "what virsh save writes") {
      try $0.write(Array("LibvirtQemudSave".utf8) + garbage, to: "domain.save")
    },
    UnusableFile(testDescription: "a copy of physical memory") {
      try $0.write(garbage + [UInt8](repeating: 0, count: 2 << 20), to: "memory.bin")
    },
    UnusableFile(testDescription: "a picture") {
      try $0.write([0xFF, 0xD8, 0xFF, 0xE0, 0, 16] + Array("JFIF".utf8) + garbage, to: "photo.jpg")
    },
    UnusableFile(testDescription: "text about something else") {
      try $0.write("Dear all,\n\nthe guest died again this morning.\n".utf8, to: "letter.txt")
    },
    UnusableFile(testDescription: "the first bytes of an ELF file") {
      try $0.write([0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0], to: "cut.elf")
    },
    UnusableFile(testDescription: "an ELF file of another processor") { folder in
      var bytes = try contents(ofFixture: "guest.elf")
      bytes[18] = 183  // e_machine: EM_AARCH64
      return try folder.write(bytes, to: "arm.elf")
    },
    UnusableFile(testDescription: "an object file") { folder in
      var bytes = try contents(ofFixture: "guest.elf")
      bytes[16] = 1  // e_type: ET_REL
      return try folder.write(bytes, to: "main.o")
    },
  ]

  /// No text, and the same every time (a linear congruential generator).
  private static let garbage: [UInt8] = {
    var state: UInt32 = 1
    return (0..<4096).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return UInt8(truncatingIfNeeded: state >> 24)
    }
  }()
}

@Suite("inquest examine: files that are not what they should be")
struct UnusableFileTests {
  @Test("is refused by name, alone and beside good ones", arguments: UnusableFile.all, [[], ["post.trace.txt"]])
  func refused(_ file: UnusableFile, _ others: [String]) async throws {
    let folder = try Folder()
    let path = try file.make(folder)
    let finished = try await inquest(["examine"] + others.map(fixture) + [path])
    #expect(finished.status == 1, "\(finished)")
    #expect(finished.standardOutput.isEmpty)
    #expect(finished.standardError.hasPrefix("inquest: \(path): "), "\(finished)")
    #expect(!finished.standardError.contains("Error Domain"), "\(finished)")
  }

  @Test("that may not be read is refused by name", .disabled(if: getuid() == 0, "root may read every file"))
  func unreadable() async throws {
    let folder = try Folder()
    let path = try folder.write(try contents(ofFixture: "post.trace.txt"), to: "secret.txt")
    try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: path)
    let finished = try await inquest(["examine", path])
    #expect(finished.status == 1, "\(finished)")
    #expect(finished.standardError.hasPrefix("inquest: \(path): "), "\(finished)")
  }

  /// An ELF file for this processor may be a guest's; nothing is concluded from it alone.
  @Test("that is a program of this host tells nothing")
  func program() async throws {
    let (finished, verdict) = try await examine([try InquestCommand.path()])
    #expect(finished.status == 4, "\(finished)")
    #expect(verdict.outcome == "undetermined")
    #expect(verdict.evidence.isEmpty && verdict.observations.isEmpty)
  }

  static let pastes: [(String, [UInt8])] = [("nothing", []), ("something else", Array("hello\n".utf8))]

  @Test("standard input with nothing in it is refused by name", arguments: pastes)
  func standardInput(_ label: String, _ bytes: [UInt8]) async throws {
    let finished = try await inquest(["examine", "-"], standardInput: bytes)
    #expect(finished.status == 1, "\(finished)")
    #expect(finished.standardError.hasPrefix("inquest: standard input: "), "\(label): \(finished)")
  }

  @Test("a verdict that cannot be written where it was asked for")
  func output() async throws {
    let folder = try Folder()
    let path = folder.path("missing/verdict.txt")
    let finished = try await inquest(["examine", "--output", path, fixture("post.trace.txt")])
    #expect(finished.status == 1, "\(finished)")
    #expect(finished.standardError.contains(path))
  }
}
