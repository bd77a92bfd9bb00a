import Investigation
import KVM
import Testing
import X86

@Suite("the way through KVM")
struct KVMPathTests {
  private static func call(_ function: String, _ values: [(String, String)]) -> KVMEvent {
    let values = values.map { KVMFunctionCall.Value(name: $0.0, text: $0.1) }
    return .functionCall(KVMFunctionCall(function: function, isReturn: false, values: values))
  }

  private static func answer(_ function: String, _ text: String) -> KVMEvent {
    let value = KVMFunctionCall.Value(name: "ret", text: text)
    return .functionCall(KVMFunctionCall(function: function, isReturn: true, values: [value]))
  }

  /// The events of a death by the page walk at 100064H, as Linux 6.1 traces them with npt=0.
  private func verdict(probed: Bool) -> Verdict {
    let walk: [KVMEvent] = [
      .pagetableWalk(address: LinearAddress(0x100064), access: .fetch), .pagingElement(entry: 0x105003, level: 4),
      .pagingElement(entry: 0x83, level: 3), .walkerError([.present, .reserved]),
    ]
    var events: [KVMEvent] = [.exit(KVMExit(vendor: .svm, reasonName: "PF excp", reason: 0x4E, rip: 0x100064))]
    if probed { events.append(Self.call("paging64_walk_addr_generic", [("addr", "0x100064")])) }
    events += walk
    if probed { events.append(Self.answer("paging64_walk_addr_generic", "0")) }
    events += [
      .injectException(vector: .pageFault, errorCode: 9, isReinjected: false), .entry(vcpu: 0, rip: 0x100064),
      .userspaceExit(reason: .shutdown, errno: nil),
    ]
    var scene = Scene()
    scene.trace = events.enumerated().map { index, event in
      KVMRecord(time: UInt64(index) * 1000, cpu: 0, task: "qemu", threadID: 7, event: event)
    }
    return Investigator.verdict(on: scene)
  }

  @Test("probes and tracepoints together: each function inside the one that called it")
  func probed() {
    let path = verdict(probed: true).path
    #expect(path.map(\.function) == ["pf_interception", "paging64_walk_addr_generic", "is_rsvd_bits_set"])
    #expect(path.map(\.depth) == [0, 1, 2])
    #expect(path[1].given == ["addr = 0x100064", "reads level 4: 0x105003", "reads level 3: 0x83"])
    #expect(path[1].answer == "0, the error code 0x9 (P|RSVD)")
  }

  @Test("without probes no path is shown, and the verdict is the same")
  func unprobed() {
    let verdict = verdict(probed: false)
    #expect(verdict.path.isEmpty)
    #expect(verdict.cause == self.verdict(probed: true).cause)
  }
}
