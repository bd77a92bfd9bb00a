import Testing
import X86

@Suite("Names of walkers")
struct WalkerNameTests {
  @Test(
    "a name is a walker and back",
    arguments: [
      ("intel", .hardware(.intel)), ("amd", .hardware(.amd)),
      ("kvm-5.10", .kvm(SoftwareVersion(5, 10), twoDimensionalPaging: false)),
      ("kvm-6.1-tdp", .kvm(SoftwareVersion(6, 1), twoDimensionalPaging: true)),
      ("tcg-7.2", .tcg(SoftwareVersion(7, 2))),
    ] as [(String, Walker)])
  func names(_ name: String, _ walker: Walker) {
    #expect(Walker(name) == walker)
    #expect(walker.description == name)
  }

  @Test("without a version it is the newest")
  func newest() {
    #expect(Walker("tcg") == .tcg(.newestTCG))
    #expect(Walker("kvm") == .kvm(.newestKVM, twoDimensionalPaging: false))
    #expect(Walker("KVM-TDP") == .kvm(.newestKVM, twoDimensionalPaging: true))
  }

  @Test(
    "other names are none",
    arguments: [
      "", "kvm-", "kvm-6", "kvm-6.1.2", "intel-1.0", "tcg-tdp", "kvm-6.1-tdp-x", "xen", "tcg--7.2", "kvm--6.1",
    ])
  func unknown(_ name: String) {
    #expect(Walker(name) == nil)
  }
}
