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

  private static let shadowPaging = [
    "pf_interception", "kvm_handle_page_fault", "kvm_mmu_page_fault", "paging64_page_fault",
    "paging64_walk_addr_generic", "is_rsvd_bits_set",
  ]

  @Test("each function inside the one that called it: what was recorded, and what KVM's source says lies between")
  func probed() {
    let path = verdict(probed: true).path
    #expect(path.map(\.function) == Self.shadowPaging)
    #expect(path.map(\.depth) == [0, 1, 2, 3, 4, 5])
    #expect(path[4].given == ["addr = 0x100064", "reads level 4: 0x105003", "reads level 3: 0x83"])
    #expect(path[4].answer == "0, the error code 0x9 (P|RSVD)")
    #expect(path[4].source == .trace(event: "probe of paging64_walk_addr_generic", time: 1000))
    #expect(path[2].source == .assumed("KVM's source, Linux 5.15 to 6.19"))
  }

  @Test("without probes the way is the same, and so is the verdict")
  func unprobed() {
    let verdict = verdict(probed: false)
    #expect(verdict.path.map(\.function) == Self.shadowPaging)
    #expect(verdict.path[4].answer == "the error code 0x9 (P|RSVD)")
    #expect(verdict.path[4].source == .trace(event: "kvm_mmu_pagetable_walk", time: 1000))
    #expect(verdict.cause == self.verdict(probed: true).cause)
  }

  /// Exits with a failed fetch of an instruction at 133025H that KVM has to emulate.
  private static let emulations: [(KVMExit, release: String?, way: [String], depths: [Int])] = [
    (
      KVMExit(vendor: .vmx, reasonName: "EPT_MISCONFIG", reason: 49, rip: 0x133025), nil,
      [
        "handle_ept_misconfig", "kvm_mmu_page_fault", "handle_mmio_page_fault", "x86_emulate_instruction",
        "x86_decode_insn", "kvm_fetch_guest_virt", "paging64_gva_to_gpa", "paging64_walk_addr_generic",
        "is_rsvd_bits_set",
      ], [0, 1, 2, 2, 3, 4, 5, 6, 7]
    ),
    (
      KVMExit(vendor: .svm, reasonName: "npf", reason: 0x400, rip: 0x133025, info1: 0x1_0000_000D), "6.1.0-53-amd64",
      [
        "npf_interception", "kvm_mmu_page_fault", "handle_mmio_page_fault", "x86_emulate_instruction",
        "x86_decode_emulated_instruction", "x86_decode_insn", "kvm_fetch_guest_virt", "paging64_gva_to_gpa",
        "paging64_walk_addr_generic", "is_rsvd_bits_set",
      ], [0, 1, 2, 2, 3, 4, 5, 6, 7, 8]
    ),
    (
      KVMExit(vendor: .svm, reasonName: "npf", reason: 0x400, rip: 0x133025, info1: 0x1_0000_0004), "5.10.0",
      [
        "npf_interception", "kvm_mmu_page_fault", "x86_emulate_instruction", "x86_decode_insn", "kvm_fetch_guest_virt",
        "paging64_gva_to_gpa", "paging64_walk_addr_generic", "is_rsvd_bits_set",
      ], [0, 1, 2, 3, 4, 5, 6, 7]
    ),
    (KVMExit(vendor: .pvm, reasonName: "EXCEPTION", reason: 14, rip: 0x133025), nil, [], []),
    (KVMExit(vendor: nil, reasonName: "npf", reason: nil, rip: 0x133025), nil, [], []),
  ]

  @Test("the way to a fetch by the emulator, by vendor, kind of exit and kernel", arguments: 0..<emulations.count)
  func emulation(_ index: Int) {
    let (exit, release, way, depths) = Self.emulations[index]
    let emulation = KVMEmulation(codeSegmentBase: 0, rip: 0x133025, bytes: [0xEC], mode: nil, failed: true)
    let events: [KVMEvent] = [
      .exit(exit), .pagetableWalk(address: LinearAddress(0x133025), access: .fetch),
      .pagingElement(entry: 0xBF9023, level: 4), .pagingElement(entry: 0xA3, level: 3),
      .walkerError([.present, .reserved]), .emulateInstruction(emulation),
      .userspaceExit(reason: .internalError, errno: nil),
    ]
    var scene = Scene()
    scene.host.kernelRelease = release.map { Sourced($0, .host("uname")) }
    scene.trace = events.enumerated().map { index, event in
      KVMRecord(time: UInt64(index) * 1000, cpu: 0, task: "qemu", threadID: 7, event: event)
    }
    let path = Investigator.verdict(on: scene).path
    #expect(path.map(\.function) == way)
    #expect(path.map(\.depth) == depths)
  }
}
