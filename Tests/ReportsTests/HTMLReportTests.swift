import Foundation
import FoundationXML
import Investigation
import Reports
import Testing
import X86

@Suite("HTML report")
struct HTMLReportTests {
  /// The names of a document's elements and its text, if it is well-formed.
  private final class Elements: NSObject, XMLParserDelegate {
    var names: [String] = []
    var text = ""

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
      attributes: [String: String]
    ) { names.append(name) }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
  }

  private func elements(of verdict: Verdict) throws -> Elements {
    let parser = XMLParser(data: Data(HTMLReport().text(of: verdict).utf8))
    let elements = Elements()
    parser.delegate = elements
    try #require(parser.parse(), "\(String(describing: parser.parserError))")
    return elements
  }

  @Test("is well-formed, stands alone, and says what the verdict says")
  func wholeVerdict() throws {
    var verdict = sampleVerdict()
    verdict.path = ["npf_interception", "paging64_walk_addr_generic"].enumerated().map { depth, function in
      KVMPathStep(
        function: function, depth: depth, role: "walks", given: ["addr = 0x10006d"], answer: "0",
        source: depth == 0 ? .assumed("KVM's source") : .trace(event: "kvm_mmu_pagetable_walk", time: 1))
    }
    let page = try elements(of: verdict)
    for words in [
      "The guest died of a triple fault.", "paging.reserved-bit", "proven", "_start+0x6d", "npf_interception",
    ] { #expect(page.text.contains(words), "\(words)") }
    #expect(page.names.count { $0 == "rect" } == 2)
    #expect(page.names.contains("mark"))
    #expect(!page.names.contains("script"))
    #expect(!HTMLReport().text(of: verdict).contains("://"))
  }

  @Test(
    "what a guest printed is text, whatever it looks like", arguments: ["<script>x</script>", "\" onload='x", "&amp;"])
  func hostileText(_ text: String) throws {
    var verdict = Verdict(outcome: .died, ending: text)
    verdict.observations = [Evidence(text, .file(text))]
    verdict.missing = [Missing(what: text, how: text)]
    verdict.path = [KVMPathStep(function: text, depth: 99, given: [text], source: .file(text))]
    let page = try elements(of: verdict)
    #expect(page.text.contains(text))
    #expect(!page.names.contains("script"))
  }

  @Test("a verdict without anything in it") func empty() throws {
    let page = try elements(of: Verdict(outcome: .undetermined, ending: "Nobody knows."))
    #expect(page.text.contains("Nobody knows."))
    #expect(!page.names.contains("section"))
  }
}
