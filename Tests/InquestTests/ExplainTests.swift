import Foundation
import Testing

@Suite("inquest explain")
struct ExplainTests {
  private struct PageDocument: Decodable {
    var id: String
    var title: String
    var text: String
  }

  private func pages() async throws -> [PageDocument] {
    let finished = try await inquest(["explain", "--format", "json"])
    return try JSONDecoder().decode([PageDocument].self, from: Data(finished.standardOutput.utf8))
  }

  @Test("the pages in docs/causes are the program's own")
  func documentation() async throws {
    let folder = URL(filePath: #filePath).appending(path: "../../../docs/causes").standardizedFileURL
    let pages = try await pages()
    #expect(pages.count >= 40)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    #expect(names == pages.map { "\($0.id).md" }.sorted(), "make docs writes them")
    for page in pages {
      let text = try String(contentsOf: folder.appending(path: "\(page.id).md"), encoding: .utf8)
      #expect(text == "# \(page.id)\n\n**\(page.title).** \(page.text)\n", "\(page.id): make docs writes it")
    }
  }

  @Test("a page fits 80 columns, and has a cure or a reason")
  func pages80() async throws {
    for page in try await pages() {
      let finished = try await inquest(["explain", page.id])
      #expect(finished.status == 0)
      #expect(finished.standardOutput.contains(page.id))
      #expect(page.text.contains("## The cure") || page.text.contains("## Why"), "\(page.id)")
      // What is quoted, such as a message of QEMU, is not broken.
      for line in finished.standardOutput.split(separator: "\n") where !line.hasPrefix("    ") {
        #expect(line.count <= 80, "\(line)")
      }
    }
  }

  @Test("a part of a name lists what has it, and a wrong name is answered with the nearest")
  func parts() async throws {
    let listed = try await inquest(["explain", "stack"])
    #expect(listed.standardOutput.contains("stack.overflow") && listed.standardOutput.contains("stack.not-mapped"))
    let wrong = try await inquest(["explain", "stak.overflow"])
    #expect(wrong.status == 1)
    #expect(wrong.standardError.contains("did you mean stack.overflow?"))
  }
}
