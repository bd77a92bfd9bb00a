import Investigation
import Reports
import Testing

@Suite("Terminal report")
struct TerminalReportTests {
  private let plain = TerminalReport(usesColour: false).text(of: sampleVerdict())

  @Test(
    "says each part of the verdict",
    arguments: [
      "The guest died of a triple fault.", "[proven]", "paging.reserved-bit", "0x10006d", "_start+0x6d",
      "#PF, error code 0x9 (P|RSVD), at address 0x10006d", "from CR3 0x102000", "PML4E[0]", "at unknown",
      "^ bit 7 (PS) is reserved here", "QEMU: -cpu Haswell,+pdpe1gb", "[possible on this host; not tried]",
      "Warning: this guest would die elsewhere", "KVM with shadow paging", "[kvm_inj_exception 10.631826]",
      "guest memory", "run it as root",
    ])
  func parts(_ part: String) {
    #expect(plain.contains(part))
  }

  @Test("keeps to 80 columns")
  func width() {
    for line in plain.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }

  @Test("colour adds nothing but escape sequences")
  func colour() {
    let coloured = TerminalReport(usesColour: true).text(of: sampleVerdict())
    #expect(coloured.contains("\u{1B}[1;31m"))
    #expect(coloured.replacing(/\u{1B}\[[0-9;]*m/, with: "") == plain)
    #expect(!plain.contains("\u{1B}"))
  }

  @Test("a guest's control characters do not reach the terminal")
  func controlCharacters() {
    var verdict = sampleVerdict()
    verdict.observations = [Evidence("symbol \u{1B}]0;x\u{7} \u{9B}31m \u{202E}txet\u{2028}", .guestMemory)]
    let text = TerminalReport(usesColour: false).text(of: verdict)
    #expect(text.contains("symbol ?]0;x? ?31m ?txet?"))
    #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || 0x7F...0x9F ~= $0.value })
  }

  @Test("says so when nothing was explained")
  func notExplained() {
    let text = TerminalReport(usesColour: false).text(of: Verdict(outcome: .died, ending: "It died."))
    #expect(text.contains("not explained"))
    #expect(!text.contains("Cure"))
  }

  @Test("a guest that ended well has no cause")
  func endedWell() {
    let text = TerminalReport(usesColour: false).text(of: Verdict(outcome: .ended, ending: "It ended well."))
    #expect(text == "It ended well.\n")
  }
}
