// Asks the QEMU of this machine what its x86 CPU models have, and writes Sources/QEMU/CPUModels/CPUModelTable.swift.
//
//   swift Scripts/cpu-models.swift [qemu-system-x86_64] > Sources/QEMU/CPUModels/CPUModelTable.swift
//
// The models come from QMP query-cpu-definitions on the pc machine, whose choice of versions for the plain names
// (Haswell is Haswell-v1) is that of all machine types but microvm. Their features come from
// query-cpu-model-expansion type=full, which for a named model gives its definition whatever the accelerator lacks.

import Foundation

/// The features to keep, as QEMU names them. The table's readers find them by name: to have more, add them here.
let features = ["pdpe1gb", "nx", "lm", "la57", "pse36"]

/// These have no definition of their own: they are what the accelerator offers.
let accelerated: Set<String> = ["host", "max"]

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data("cpu-models: \(message)\n".utf8))
  exit(1)
}

/// QEMU without a guest, answering on its standard output.
final class QEMU {
  private let process = Process()
  private let commands = Pipe()
  private let answers = Pipe()
  private var unread = Data()

  init(_ program: String) throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program, "-machine", "pc", "-accel", "tcg", "-display", "none", "-S", "-qmp", "stdio"]
    process.standardInput = commands
    process.standardOutput = answers
    try process.run()
    _ = nextMessage()
    _ = ask("qmp_capabilities")
  }

  func ask(_ command: String, _ arguments: [String: Any] = [:]) -> Any {
    let message: [String: Any] = ["execute": command, "arguments": arguments]
    guard var data = try? JSONSerialization.data(withJSONObject: message) else { fail("cannot encode \(command)") }
    data.append(UInt8(ascii: "\n"))
    commands.fileHandleForWriting.write(data)
    while true {
      let answer = nextMessage()
      if let value = answer["return"] { return value }
      if let error = answer["error"] { fail("\(command): \(error)") }
    }
  }

  func quit() {
    _ = ask("quit")
    process.waitUntilExit()
  }

  private func nextMessage() -> [String: Any] {
    while true {
      if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        let line = Data(unread[..<end])
        unread = Data(unread[unread.index(after: end)...])
        guard let value = try? JSONSerialization.jsonObject(with: line), let message = value as? [String: Any] else {
          fail("QEMU answered no JSON object")
        }
        return message
      }
      let more = answers.fileHandleForReading.availableData
      if more.isEmpty { fail("QEMU ended early") }
      unread.append(more)
    }
  }
}

let program = CommandLine.arguments.dropFirst().first ?? "qemu-system-x86_64"
let qemu = try QEMU(program)

guard let version = (qemu.ask("query-version") as? [String: Any])?["qemu"] as? [String: Int],
  let major = version["major"], let minor = version["minor"], let micro = version["micro"],
  let definitions = qemu.ask("query-cpu-definitions") as? [[String: Any]]
else { fail("QEMU's answers have another form than expected") }

var rows: [String] = []
for definition in definitions {
  guard let name = definition["name"] as? String else { fail("a CPU definition has no name") }
  if accelerated.contains(name) { continue }
  if let alias = definition["alias-of"] as? String {
    rows.append("\(name) = \(alias)")
    continue
  }
  let expansion = qemu.ask("query-cpu-model-expansion", ["type": "full", "model": ["name": name]])
  guard let model = (expansion as? [String: Any])?["model"] as? [String: Any],
    let properties = model["props"] as? [String: Any]
  else { fail("\(name) has no properties") }
  let vendor = properties["vendor"] as? String ?? ""
  let present = features.filter { properties[$0] as? Bool ?? false }
  rows.append(([name, vendor.isEmpty ? "-" : vendor] + present).joined(separator: " "))
}
qemu.quit()

print(
  """
  // Made by Scripts/cpu-models.swift from QEMU \(major).\(minor).\(micro). Do not edit.

  /// The CPU models of QEMU \(major).\(minor).\(micro), one a line: `alias = name`, or the name, the vendor (`-` for none)
  /// and those of the `features` that the model's definition has.
  enum CPUModelTable {
    static let version = "\(major).\(minor)"

    static let features = "\(features.joined(separator: " "))"

    static let rows = \"\"\"
      \(rows.sorted().joined(separator: "\n    "))
      \"\"\"
  }
  """)
