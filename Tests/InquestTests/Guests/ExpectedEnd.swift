import Foundation
import Testing

/// A row of Guests/expectations.txt: how a guest ends with some accelerator and some options, and of what.
struct ExpectedEnd: Sendable, CustomTestStringConvertible {
  enum Cure: Equatable, Sendable {
    case twin
    case options([String])
  }

  let guest: ExampleGuest
  let accelerator: String
  let options: [String]
  let end: String
  let vector: Int?
  let cause: String?
  let cure: Cure?

  var testDescription: String { "\(guest.name) \(options.joined(separator: " "))" }

  /// The rows for an accelerator; none if the table cannot be read, which a test of its own finds.
  static func all(of accelerator: String) -> [ExpectedEnd] {
    let file = URL(filePath: #filePath).appending(path: "../../../../Guests/expectations.txt").standardizedFileURL
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap(Self.init).filter { [accelerator, "any"].contains($0.accelerator) }
  }

  /// Nil if the line is a comment or has not seven columns.
  private init?(_ line: Substring) {
    let columns = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    guard !line.hasPrefix("#"), columns.count == 7 else { return nil }
    func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }
    guest = ExampleGuest(columns[0])
    accelerator = columns[1]
    options = words(columns[2])
    end = columns[3]
    vector = Int(columns[4])
    cause = columns[5] == "-" ? nil : columns[5]
    cure =
      switch columns[6] {
      case "-": nil
      case "twin": .twin
      default: .options(words(columns[6]))
      }
  }

  func command(accelerator: String) throws -> [String] {
    try guest.command(accelerator: accelerator, options + ["-no-reboot"])
  }

  /// The same, cured.
  func curedCommand(accelerator: String) throws -> [String]? {
    switch cure {
    case .twin: try guest.cured.command(accelerator: accelerator, options + ["-no-reboot"])
    case .options(let added): try command(accelerator: accelerator) + added
    case nil: nil
    }
  }
}
