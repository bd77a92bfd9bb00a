import Foundation
import Testing
import X86

@Suite("Processors as tools describe them")
struct ProcessorTextTests {
  private func fixture(_ name: String, file: String = #filePath) throws -> String {
    let tests = URL(filePath: file).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    return try String(contentsOf: tests.appending(path: "Fixtures/processors/\(name)"), encoding: .utf8)
  }

  @Test("a dump of cpuid -r")
  func dump() throws {
    let cpuid = try #require(CPUID(dump: try fixture("epyc.cpuid.txt")))
    #expect(cpuid.vendor == "AuthenticAMD" && cpuid.isAMD == true && cpuid.maximumPhysicalAddressBits == 48)
    #expect(cpuid[leaf: 0]?.eax == 0x1c && cpuid[leaf: 7]?.ebx == 0xF1BF_07AB)
    #expect(cpuid.has(.pdpe1gb) == true && cpuid.has(.la57) == false)
  }

  @Test("/proc/cpuinfo says the same of what both know")
  func cpuinfo() throws {
    let processor = try #require(LinuxProcessor(cpuinfo: try fixture("epyc.cpuinfo.txt")))
    #expect(processor.vendor == "AuthenticAMD" && processor.isAMD && processor.physicalAddressBits == 48)
    #expect(processor.has(.pdpe1gb) && !processor.has(.la57))
    let cpuid = FeatureReport(try #require(CPUID(dump: try fixture("epyc.cpuid.txt"))))
    let disagreements = processor.features.disagreements(with: cpuid)
    #expect(disagreements.isEmpty, "\(disagreements.features.map(\.name))")
    #expect(processor.features.features.features.count > 90)
  }

  @Test("the first processor of several counts")
  func first() {
    let line = "   0x00000000 0x00: eax=0x00000001 ebx=0x68747541 ecx=0x444d4163 edx=0x69746e65\n"
    let cpuid = CPUID(dump: "CPU 0:\n\(line)CPU 1:\n\(line.replacing("0x00000001", with: "0x00000002"))")
    #expect(cpuid?.entries.map(\.eax) == [1])
  }

  @Test(
    "flags that several bits stand for are the vendor's own",
    arguments: [
      ("ibpb", true, "ibpb"), ("ibpb", false, "spec-ctrl"), ("stibp", true, "amd-stibp"), ("ssbd", false, "ssbd"),
    ])
  func flags(_ flag: String, _ isAMD: Bool, _ name: String) {
    #expect(FeatureReport(linuxFlags: [flag], isAMD: isAMD).features.features.map(\.name) == [name])
  }

  @Test(
    "what is no description is none",
    arguments: [
      "", "CPU:\n", "   0x00000000 0x00: eax=0x1\n", "   0x0 0x0: eax=0xg ebx=0x0 ecx=0x0 edx=0x0",
      "   0x100000000 0x00: eax=0x0 ebx=0x0 ecx=0x0 edx=0x0", "0 0: 0 0 0 0", "vendor_id : x", "flags\t: fpu",
    ])
  func neither(_ text: String) {
    #expect(CPUID(dump: text) == nil && LinuxProcessor(cpuinfo: text) == nil)
  }
}
