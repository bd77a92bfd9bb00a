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
        .hyperVTimerCleanup(vcpu: 0, timer: 0), .hyperVTimerCleanup(vcpu: 0, timer: 1),
        .hyperVTimerCleanup(vcpu: 0, timer: 2), .hyperVTimerCleanup(vcpu: 0, timer: 3),
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
