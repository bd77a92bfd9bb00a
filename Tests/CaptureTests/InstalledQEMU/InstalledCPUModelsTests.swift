import Capture
import Foundation
import QEMU
import Testing
import X86

@Suite("the CPU models of the installed QEMU")
struct InstalledCPUModelsTests {
  @Test("the table that is shipped is what its QEMU says of itself")
  func shipped() throws {
    let installed = try #require(EveryModelTests.table)
    guard installed.version.hasPrefix("7.2.") else {
      print("Skipped: QEMU \(installed.version) is installed; the table shipped is of \(CPUModelTable.shipped.version)")
      return
    }
    let shipped = CPUModelTable.shipped
    #expect(installed.aliases == shipped.aliases)
    #expect(installed.models.keys.sorted() == shipped.models.keys.sorted())
    let hasKVM = installed.kvmDefaults != nil
    for (name, model) in shipped.models { #expect(installed.models[name] == model, "\(name)") }
    #expect(installed.knownFeatures == shipped.knownFeatures && installed.tcgFeatures == shipped.tcgFeatures)
    if hasKVM { #expect(installed.kvmDefaults == shipped.kvmDefaults) }
  }

  @Test("a table is the same after it was written and read")
  func roundTrip() throws {
    let table = try #require(EveryModelTests.table)
    #expect(try CPUModelTable(table.text) == table)
  }

  @Test("a program that is no QEMU is refused", arguments: ["/nonexistent/qemu", "true"])
  func noQEMU(_ program: String) {
    #expect(throws: CaptureError.self) { try CPUModelTable.installed(program, usesCache: false) }
  }
}
