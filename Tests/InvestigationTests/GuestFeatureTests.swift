import Investigation
import KVM
import QEMU
import Testing
import X86

@Suite("The features of the guest, by several accounts")
struct GuestFeatureTests {
  private func records(_ lines: [String]) -> [KVMRecord] {
    KVMTrace(text: lines.map { "\($0)\n" }.joined()).records
  }

  /// Leaf 80000001H with these bits in EDX, as the guest in this thread was told.
  private func answer(_ thread: Int, edx: String) -> String {
    "qemu-\(thread) [000] 1.0: kvm_cpuid: func 80000001 idx 0 rax 0 rbx 0 rcx 0 rdx \(edx), cpuid entry found"
  }

  private func scene(_ lines: [String]) -> Scene {
    var scene = Scene()
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.commandLine = Story.commandLine("Haswell,+pdpe1gb")
    scene.trace = records(lines) + Story.traceWithShadowPaging()
    scene.host = Story.shadowPagingHost(offersGiBPages: nil)
    return scene
  }

  @Test("where QEMU did not tell, what CPUID told the guest counts")
  func traced() {
    let summary = Investigator.verdict(on: scene([answer(1, edx: "20100800")])).cause?.summary
    #expect(summary?.contains("although it was asked for") == true, "\(summary ?? "")")
  }

  @Test("a trace in which guests were told different things tells nothing")
  func severalGuests() {
    let lines = [answer(1, edx: "20100800"), answer(2, edx: "24100800")]
    let summary = Investigator.verdict(on: scene(lines)).cause?.summary
    #expect(summary?.contains("although it was asked for") == false, "\(summary ?? "")")
  }

  @Test("a disagreement is shown, and what changes on the way is none")
  func disagreement() {
    var scene = scene([answer(1, edx: "20100800")])
    scene.guestFeatures = Sourced([.pdpe1gb: true, .nx: true], .qmp("feature-words"))
    let observations = Investigator.verdict(on: scene).observations.map(\.text)
    #expect(observations.count { $0.contains("QEMU gives the guest pdpe1gb") } == 1, "\(observations)")
    scene.guestFeatures = Sourced([.pdpe1gb: false, .nx: true], .qmp("feature-words"))
    #expect(
      !Investigator.verdict(on: scene).observations.contains {
        $0.text.contains("QEMU ") && $0.text.contains("CPUID told")
      })
  }
}
