import GuestMemory
import Investigation
import KVM
import QEMU
import Testing
import X86

/// Which level of virtual machines inside each other died. The nested guest's physical 0 is its hypervisor's 4000000H, and
/// where the nested guest has its root table the hypervisor has something else.
@Suite("nested guests")
struct GuestLevelTests {
  private static let nested: UInt64 = 0x400_0000

  /// The hypervisor's memory, the nested guest's in it: tables for its first 2 MiB, and a write to 400000H at 8000H.
  private static func memory(_ vendor: KVMExit.Vendor) -> SparseMemory {
    var memory = SparseMemory()
    memory.store(0, at: 0x1000)
    let (table, page): (UInt64, UInt64) = vendor == .vmx ? (7, 0xB7) : (7, 0x87)
    memory.store(0x10_9000 | table, at: 0x10_8000)
    memory.store(0x10_A000 | table, at: 0x10_9000)
    memory.store(nested | page, at: 0x10_A000)
    memory.store(0x2003, at: nested + 0x1000)
    memory.store(0x3003, at: nested + 0x2000)
    memory.store(0x83, at: nested + 0x3000)
    memory.store(0x0100_4000_0025_04C6, at: nested + 0x8000)
    memory.store(0, at: nested + 0x8008)
    return memory
  }

  private static var state: ProcessorState {
    var state = Story.state(rip: 0x8000, cr3: 0x1000, cr2: 0x40_0000, idtLimit: 0)
    state.efer = [.longModeEnable, .longModeActive, .svmEnable]
    state.cr0 = [.protectionEnable, .paging]
    state.cr4 = .physicalAddressExtension
    state.cs = SmallGuest.segment(8, 0x00AF_9B00)
    state.rflags = RFLAGS(rawValue: 2)
    return state
  }

  private static func entry(_ vendor: KVMExit.Vendor, root: UInt64?) -> KVMEvent {
    .nestedEntry(
      KVMNestedEntry(
        rip: 0x10_00DC, nestedRIP: 0x8000, eventInjection: EventInformation(rawValue: 0), usesNestedPaging: true,
        root: root, vendor: vendor))
  }

  private static let death: [KVMEvent] = [
    .entry(vcpu: 0, rip: 0x8000),
    .exit(KVMExit(vendor: .svm, reasonName: "shutdown", reason: 0x7F, rip: 0x8000)), nestedExit,
    .userspaceExit(reason: .shutdown, errno: nil),
  ]

  private static let nestedExit = KVMEvent.nestedExit(
    KVMExit(vendor: .svm, reasonName: "shutdown", reason: 0x7F, rip: 0x8000))

  /// The same of the hypervisor itself, or of a recording without kvm_nested_vmexit.
  private static let ownDeath = death.filter { $0 != nestedExit }

  private static func scene(_ events: [KVMEvent], _ vendor: KVMExit.Vendor = .svm) -> Scene {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.host.usesTwoDimensionalPaging = Sourced(true, .host("kvm_amd.npt"))
    scene.commandLine = QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-accel", "kvm", "-cpu", "EPYC"])
    scene.trace = Story.records(events)
    scene.processors = [Story.processor(state)]
    scene.memory = memory(vendor)
    return scene
  }

  @Test(
    "a nested guest's fault is found in its own tables, through its hypervisor's",
    arguments: [(KVMExit.Vendor.svm, UInt64(0x10_8000)), (.vmx, 0x10_801E)])
  func nestedGuest(_ vendor: KVMExit.Vendor, _ root: UInt64) {
    let verdict = Investigator.verdict(on: Self.scene([Self.entry(vendor, root: root)] + Self.death, vendor))
    #expect(verdict.level == 2)
    #expect(verdict.cause?.id == "paging.not-present")
    #expect(verdict.fault?.address == LinearAddress(0x40_0000))
    #expect(verdict.walk?.levels.map(\.entryAddress?.rawValue) == [0x1000, 0x2000, 0x3010])
    #expect(verdict.walk?.levels.map(\.hypervisorAddress?.rawValue) == [0x400_1000, 0x400_2000, 0x400_3010])
    #expect(verdict.remedies.allSatisfy { $0.kind == .guest })
  }

  /// Each with the level that it shows. In none may the hypervisor's memory be taken for the nested guest's.
  private static let unexplained: [(label: String, events: [KVMEvent], level: Int?)] = [
    ("an entry without its tables", [entry(.svm, root: nil)] + death, 2),
    (
      "an exit of the nested guest, its entry lost",
      [.nestedExit(KVMExit(vendor: .svm, reasonName: "npf", reason: 0x400, rip: 0x8000))] + death, 2
    ),
    ("no nested event, on a processor that can have guests", ownDeath, nil),
    ("an entry, and an exit of which nothing says whose it is", [entry(.svm, root: 0x10_8000)] + ownDeath, nil),
  ]

  @Test(
    "what does not show how the physical addresses are to be read explains nothing", arguments: 0..<unexplained.count)
  func unknownTables(_ index: Int) {
    let (_, events, level) = Self.unexplained[index]
    let verdict = Investigator.verdict(on: Self.scene(events))
    #expect(verdict.level == level)
    #expect(verdict.cause == nil)
    #expect(verdict.outcome == .died)
    #expect(verdict.missing.contains { $0.what.contains("guest") })
  }

  /// The hypervisor dies after an exit of its guest that it was given; the walk of its nested tables is not its own.
  @Test("the hypervisor's own death, after its guest's exit")
  func hypervisor() {
    let reflected = KVMReflectedExit(
      vendor: .svm, reasonName: "npf", reason: 0x400, info1: 0x1_0000_0006, info2: 0x20_0000, interruptionInfo: 0,
      errorCode: 0)
    var scene = Self.scene(
      [
        Self.entry(.svm, root: 0x10_8000), .entry(vcpu: 0, rip: 0x8000),
        .exit(KVMExit(vendor: .svm, reasonName: "npf", reason: 0x400, rip: 0x8000)),
        .pagetableWalk(address: LinearAddress(0x20_0000), access: [.write, .user]),
        .pagingElement(entry: 0x10_9007, level: 4), .pagingElement(entry: 0, level: 3),
        .walkerError([.write, .user]),
        .nestedExit(KVMExit(vendor: .svm, reasonName: "npf", reason: 0x400, rip: 0x8000)),
        .nestedExitReflected(reflected),
      ] + Self.ownDeath)
    scene.memory = nil
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.level == 1)
    #expect(verdict.cause == nil)
    #expect(
      verdict.observations.contains {
        $0.text.contains("exit npf") && $0.text.contains("0x200000") && $0.text.contains("the level 3 entry 0x0")
      })
  }

  @Test("what was recorded before events were lost tells no level")
  func hole() {
    var scene = Self.scene(
      [Self.entry(.svm, root: 0x10_8000), .fpu(isLoaded: false), .userspaceExit(reason: .shutdown, errno: nil)])
    scene.traceHoles = [1]
    #expect(Investigator.verdict(on: scene).level == nil)
  }
}
