import Investigation
import QEMU
import Testing
import X86

/// What the data of KVM's internal errors are said to mean, in each kernel's layout.
@Suite("data of internal errors")
struct InternalErrorObservationTests {
  private static let errors: [(suberror: Int, data: [UInt64], words: [String], absent: [String])] = [
    (
      1, [1, 0x9090_0758_0f03_0f0f, 0x9090_9090_9090_9090, 0x31, 0, 0, 0, 0],
      ["given 15 bytes of instruction, 0f 03 0f 58 07", "exit reason 49 (0x31), EPT_MISCONFIG"], []
    ),
    (
      1, [0, 0x400, 0x1_0000_0006, 0xB_8000, 0, 0],
      ["exit code 0x400, a nested page fault", "a write of the guest's final address", "0xb8000, in the VGA window"],
      ["bytes of instruction"]
    ),
    (1, [], [], ["exit that led to it"]),
    (
      2, [0x8000_0b0e, 0x8000_0b08, 0, 3],
      [
        "the event being delivered: #PF (a hardware exception", "raised meanwhile: #DF",
        "is a triple fault on a processor",
      ], []
    ),
    (
      // Before 5.9, without the CPU.
      3, [0x8000_0b0e, 0x31, 0x182, 0xA_0FF0],
      ["#PF (a hardware exception", "EPT_MISCONFIG", "data[3]=0xa0ff0, the guest-physical address, in the VGA window"],
      ["host's processor"]
    ),
    (
      // 5.9 to 6.12: no address but for a misconfiguration.
      3, [0x8000_0030, 0x30, 0x181, 5],
      [
        "an external interrupt (type 0), vector 0x30 = 48", "EPT_VIOLATION",
        "a read of an address that EPT does not map",
        "data[3]=0x5: the host's processor",
      ],
      ["guest-physical address,", "contradicts itself"]
    ),
    (
      // Since 6.14 five words, all ones for no address.
      3, [0x8000_0020, 0x1F, 0, .max, 2],
      ["MSR_READ", "contradicts itself", "data[4]=0x2: the host's processor"], ["data[3]"]
    ),
    (4, [0x4B, 7], ["exit reason 75 (0x4b), NOTIFY", "entered the guest last, 7"], []),
    (4, [0xC000_0603_0000_0000, 1], ["completion status of the TDX module (error, not recoverable)"], []),
    (9, [], ["none that Linux 6.19 defines"], []),
  ]

  @Test("each word is said as what all kernels that may have made it mean")
  func words() {
    for (suberror, data, words, absent) in Self.errors {
      var scene = Scene()
      let extra = Dictionary(uniqueKeysWithValues: data.enumerated().map { ($0.offset, $0.element) })
      scene.log = [
        Sourced(.kvmInternalError(KVMInternalError(suberror: suberror, extraData: extra)), .log(name: "log", line: 1))
      ]
      let texts = Investigator.verdict(on: scene).observations.map(\.text)
      for word in words { #expect(texts.contains { $0.contains(word) }, "\(suberror), \(word): \(texts)") }
      for word in absent { #expect(!texts.contains { $0.contains(word) }, "\(suberror), \(word): \(texts)") }
    }
  }

  @Test("an address is compared with RAM, stack and page tables")
  func relations() throws {
    func texts(_ address: UInt64, _ change: (inout ProcessorState) -> Void) -> [String] {
      var scene = Scene()
      scene.commandLine = QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-m", "256"])
      var state = Story.state()
      change(&state)
      scene.processors = [Story.processor(state)]
      scene.log = [
        Sourced(
          .kvmInternalError(
            KVMInternalError(suberror: 1, extraData: [0: 0, 1: 0x400, 2: 0x1_0000_0004, 3: address, 4: 0, 5: 0])),
          .log(name: "log", line: 1))
      ]
      return Investigator.verdict(on: scene).observations.map(\.text)
    }
    #expect(texts(0x2000_0000) { _ in }.contains { $0.contains("beyond the guest's RAM, which ends at 0x10000000") })
    #expect(!texts(0xFFF_0000) { _ in }.contains { $0.contains("beyond the guest's RAM") })
    #expect(texts(0x10_2008) { _ in }.contains { $0.contains("in the page that CR3 points to") })
    let stack = texts(0x7FF8) { state in
      state.cr0 = .protectionEnable
      state.efer = []
      state.generalPurpose.rsp = 0x8000
    }
    #expect(stack.contains { $0.contains("which is ESP-8") })
  }
}
