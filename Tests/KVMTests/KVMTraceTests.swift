import Testing
import Traces
import X86

@testable import KVM

@Suite struct KVMTraceTests {
  @Test func decodesTheReportOfTheStory() throws {
    let trace = KVMTrace(text: try fixture("one-gib-pages/post.trace.txt"))
    let exit = KVMExit(vendor: .vmx, reasonName: "EPT_MISCONFIG", reason: 49, rip: 0x133025, info1: 0, info2: 0)
    func emulation(failed: Bool) -> KVMEvent {
      .emulateInstruction(
        KVMEmulation(codeSegmentBase: 0, rip: 0x133025, bytes: [0xec], mode: nil, failed: failed))
    }
    #expect(
      trace.records.map(\.event) == [
        .exit(exit), .pagetableWalk(address: LinearAddress(0x133025), access: .fetch),
        .pagingElement(entry: 0xbf9023, level: 4), .pagingElement(entry: 0xa3, level: 3),
        .walkerError([.present, .reserved]), emulation(failed: false), emulation(failed: true),
        .userspaceExit(reason: .internalError, errno: nil), .fpu(isLoaded: false),
        .hyperV(.timerCleanup(vcpu: 0, timer: 0)), .hyperV(.timerCleanup(vcpu: 0, timer: 1)),
        .hyperV(.timerCleanup(vcpu: 0, timer: 2)), .hyperV(.timerCleanup(vcpu: 0, timer: 3)),
      ])
    #expect(trace.records.map(\.line) == (1...13).map(Optional.some))
    #expect(trace.records[0].time == 159_269_806_542_000)
    #expect(trace.records[0].task == "qemu-system-x86")
    #expect(trace.records[0].threadID == 31218)
    #expect(trace.records[9].cpu == 7)
    #expect(trace.unrecognizedLineCount == 0)
    #expect(!trace.endsInsideLine)
  }

  @Test(arguments: [
    ("dies.report.txt", 139, 1), ("dies.report-N.txt", 139, 1), ("pvm.script.txt", 96, 0),
  ])
  func decodesEveryLineOfTheTools(file: String, count: Int, headings: Int) throws {
    let trace = KVMTrace(text: try fixture("one-gib-pages/\(file)"))
    #expect(trace.records.count == count)
    #expect(trace.lineCount == count + headings)
    #expect(trace.unrecognizedLineCount == 0)
    #expect(trace.otherEventCount == 0)
    for record in trace.records {
      if case .undecodable(let name, let reason) = record.event {
        Issue.record("line \(record.line ?? 0): \(name): \(reason)")
      }
    }
  }

  @Test func readsTheSameFromThePluginAndTheKernelsFormats() throws {
    let plugin = KVMTrace(text: try fixture("one-gib-pages/dies.report.txt")).records
    let kernel = KVMTrace(text: try fixture("one-gib-pages/dies.report-N.txt")).records
    #expect(plugin.count == kernel.count)
    for (a, b) in zip(plugin, kernel) {
      switch (a.event, b.event) {
      case (.exit(let a), .exit(let b)):
        #expect(a.vendor == .svm)
        #expect([a.vendor] == [b.vendor])
        #expect([a.reasonName] == [b.reasonName])
        #expect([a.reason] == [b.reason])
        #expect([a.rip, a.info1, a.info2] == [b.rip, b.info1, b.info2])
      case (.emulateInstruction(let a), .emulateInstruction(let b)):
        #expect([a.rip, UInt64(a.codeSegmentBase)] == [b.rip, UInt64(b.codeSegmentBase)])
        #expect(a.bytes == b.bytes)
      case (.shadowPage(let a), .shadowPage(var b)):
        if a.frame == nil { b.frame = nil }
        #expect(a == b)
      default:
        #expect(a == b)
      }
    }
  }

  @Test func keepsHolesAndWhatIsNotKVM() {
    let trace = KVMTrace(
      text: """
        My guest dies:
        > CPU:0 [LOST 12 EVENTS]
        > qemu-1 [000] 1.000001: kvm_fpu: load
        > bash-2 [001] 1.000002: sched_switch: prev_comm=bash
        > CPU:1 [EVENTS DROPPED]
        > qemu-1 [000] 1.000003: kvm_fpu: unload
        """)
    #expect(trace.records.map(\.line) == [3, 6])
    #expect(
      trace.lost == [
        KVMTrace.Hole(events: LostEvents(cpu: 0, count: 12), line: 2, position: 0),
        KVMTrace.Hole(events: LostEvents(cpu: 1, count: nil), line: 5, position: 1),
      ])
    #expect(trace.otherEventCount == 1)
    #expect(trace.unrecognizedLineCount == 1)
    #expect(trace.endsInsideLine)
  }

  struct Paste: Sendable, CustomTestStringConvertible {
    var name: String
    var text: String
    var events: [KVMEvent]
    var lines: [Int]
    var unrecognized = 0
    var testDescription: String { name }
  }

  static let nested = KVMExit(
    vendor: .vmx, reasonName: "EPT_VIOLATION", reason: 48, rip: 0xffff_f800_1234_5678, info1: 0x182, info2: 0x30,
    interruptionInfo: 0x8000_0b0e, errorCode: 2)
  static let exit = KVMExit(
    vendor: .svm, reasonName: "npf", reason: 0x400, rip: 0x1234, vcpu: 1, info1: 0x1_0000_0004, info2: 0xb8000,
    interruptionInfo: 0, errorCode: 0)

  @Test(arguments: [
    Paste(
      name: "lines without what stood before the event",
      text: """
        My guest dies so:
        kvm_exit: reason EPT_MISCONFIG rip 0x4711 info 0 0
        kvm_emulate_insn:     0:ffff80001234: f3 a4 FAIL
        kvm:kvm_fpu: unload
        kvm_page_fault:       address febc1000 error_code 182
        kvm_inj_exception:    #UD (0x0)

        """,
      events: [
        .exit(KVMExit(vendor: .vmx, reasonName: "EPT_MISCONFIG", reason: 49, rip: 0x4711, info1: 0, info2: 0)),
        .emulateInstruction(
          KVMEmulation(codeSegmentBase: 0, rip: 0xffff_8000_1234, bytes: [0xf3, 0xa4], mode: nil, failed: true)),
        .fpu(isLoaded: false), .pageFault(address: 0xfebc_1000, errorCode: 0x182, rip: nil),
        .injectException(vector: .invalidOpcode, errorCode: nil, isReinjected: false),
      ], lines: [2, 3, 4, 5, 6], unrecognized: 1),
    Paste(
      name: "such lines quoted", text: "> > kvm_fpu: load\n>kvm_fpu:             unload\n| kvm_fpu: load\n",
      events: [.fpu(isLoaded: true), .fpu(isLoaded: false), .fpu(isLoaded: true)], lines: [1, 2, 3]),
    Paste(
      name: "prose that names events",
      text: """
        kvm_exit: every reason has a name.
        kvm_set_irq: Invalid argument
        I see kvm_fpu: load
        my_event: load
        kvm_fpu:load
        kvm_fpu load
        kvm_exit:

        """, events: [], lines: [], unrecognized: 7),
    Paste(
      name: "prose after a whole line",
      text: "q-1 [000] 1.0: kvm_fpu: load\nkvm_exit: see above\n", events: [.fpu(isLoaded: true)], lines: [1],
      unrecognized: 1),
    Paste(
      name: "a cut line among such lines", text: "kvm_fpu: load\nkvm_entry: vcp\n",
      events: [
        .fpu(isLoaded: true), .undecodable(name: "kvm_entry", reason: "no known kernel prints it as \"vcp\""),
      ], lines: [1, 2]),
    Paste(
      name: "a broken line",
      text: """
        kvm_nested_vmexit:    rip fffff80012345678 reason EPT_VIOLATION info1 182
            info2 30 int_info 80000b0e int_info_err 2
        kvm_fpu: load

        """, events: [.nestedExit(nested), .fpu(isLoaded: true)], lines: [1, 3]),
    Paste(
      name: "a line broken behind its name",
      text: "kvm_fpu: load\nkvm_userspace_exit:\n    reason KVM_EXIT_SHUTDOWN (8)\n",
      events: [.fpu(isLoaded: true), .userspaceExit(reason: .shutdown, errno: nil)], lines: [1, 2]),
    Paste(
      name: "a line broken often, and quoted",
      text: """
        > qemu-1 [000] 1.0: kvm_exit: vcpu 1 reason npf rip 0x1234
        >     info1 0x0000000100000004 info2
        >\t0x00000000000b8000
        >  intr_info 0x00000000 error_code 0x00000000
        > qemu-1 [000] 1.0: kvm_fpu: load

        """, events: [.exit(exit), .fpu(isLoaded: true)], lines: [1, 5]),
    Paste(
      name: "a cut line before what is not its rest",
      text: """
        qemu-1 [000] 1.0: kvm_paging: kvm_entry: vcpu
           qemu-1 [000] 1.0: kvm_mmu_paging_element: pte a3 level
           2 of them, says he
             qemu-1 [000] 1.0: kvm_mmu_paging_element: pte a3
              kvm_fpu: load
        qemu-1 [000] 1.0: kvm_mmu_paging_element: pte a3
        level 2

        """,
      events: [
        .other(name: "kvm_paging", text: "kvm_entry: vcpu"),
        .pagingElement(entry: 0xa3, level: 2),
        .undecodable(name: "kvm_mmu_paging_element", reason: "no known kernel prints it as \"pte a3\""),
        .fpu(isLoaded: true),
        .undecodable(name: "kvm_mmu_paging_element", reason: "no known kernel prints it as \"pte a3\""),
      ], lines: [1, 2, 4, 5, 6], unrecognized: 1),
    Paste(
      name: "a call chain", text: "q 1 [000] 1.0: kvm:kvm_entry: vcpu\n    ffffffff81 kvm_x86_run+0x1 ([kvm])\n\n",
      events: [.undecodable(name: "kvm_entry", reason: "no known kernel prints it as \"vcpu\"")], lines: [1],
      unrecognized: 1),
  ])
  func readsWhatPeoplePaste(_ paste: Paste) {
    let trace = KVMTrace(text: paste.text)
    #expect(trace.records.map(\.event) == paste.events)
    #expect(trace.records.map(\.line) == paste.lines.map(Optional.some))
    #expect(trace.unrecognizedLineCount == paste.unrecognized)
  }

  @Test(arguments: [
    ("reason EXCEPTION_NMI rip 0x1 info 0 0", KVMExit.Vendor.vmx as KVMExit.Vendor?, nil as UInt32?),
    ("reason npf rip 0x1 info 0 0", .svm, 0x4e),
    ("reason HYPERCALL rip 0x1 info 0 0", .pvm, 14),
    ("reason 0x999 rip 0x1 info 0 0", nil, nil),
  ])
  func givesSharedExitNamesTheVendorOfTheOthers(other: String, vendor: KVMExit.Vendor?, reason: UInt32?) throws {
    let trace = KVMTrace(
      text: """
        q-1 [000] 1.0: kvm_exit: reason PF excp rip 0x1 info 0 0
        q-1 [000] 1.1: kvm_exit: \(other)

        """)
    guard case .exit(let exit) = try #require(trace.records.first).event else {
      Issue.record("no exit")
      return
    }
    #expect(exit.reasonName == "PF excp")
    #expect([exit.vendor] == [vendor])
    #expect([exit.reason] == [reason])
  }
}
