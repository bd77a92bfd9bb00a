import GuestMemory
import Investigation
import QEMU
import Testing
import X86

/// Dumps and errors of more than one vCPU.
@Suite("several processors in a verdict")
struct SeveralErrorsTests {
  private static func error(rip: String) -> String {
    "KVM internal error. Suberror: 1\nemulation failure\n" + registerDump(rip: rip)
  }

  private static func registerDump(rip: String) -> String {
    """
    EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000000
    ESI=00000000 EDI=00000000 EBP=00000000 ESP=00007000
    EIP=\(rip) EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
    ES =0010 00000000 ffffffff 00c09300
    CS =0008 00000000 ffffffff 00c09b00
    SS =0010 00000000 ffffffff 00c09300
    DS =0010 00000000 ffffffff 00c09300
    FS =0010 00000000 ffffffff 00c09300
    GS =0010 00000000 ffffffff 00c09300
    LDT=0000 00000000 0000ffff 00008200
    TR =0000 00000000 0000ffff 00008b00
    GDT=     000f6180 00000037
    IDT=     000f61be 00000000
    CR0=00000011 CR2=00000000 CR3=00000000 CR4=00000000

    """
  }

  private func verdict(_ text: String) throws -> Verdict {
    var scene = Scene()
    let log = QEMULog.parse(text)
    scene.log = Sourced.messages(of: log, named: "log")
    let states = log.compactMap { entry -> ProcessorState? in
      if case .registerDump(let dump) = entry.message { dump.state } else { nil }
    }
    let last = try #require(states.last)
    scene.processors = [ObservedProcessor(index: 0, state: last, source: .registers("test"))]
    return Investigator.verdict(on: scene)
  }

  @Test("an error before the one that is judged is told, if it is of another place and of the same run")
  func earlierErrors() throws {
    func tells(_ text: String) throws -> Bool {
      try verdict(text).observations.contains { $0.text.contains("KVM had given up before, at RIP 0x100123") }
    }
    let (first, second) = (Self.error(rip: "00100123"), Self.error(rip: "000b0000"))
    #expect(try tells(first + second))
    #expect(try !tells(first + first))
    #expect(try !tells(first + "qemu-system-x86_64 -accel kvm -smp 2 -m 64\n" + second))
    #expect(try !tells(second))
  }

  @Test("a core shows no halt: a further processor behind the HLT of the BIOS was never started")
  func parked() throws {
    var memory = SparseMemory()
    memory.insert(page: [UInt8](repeating: 0xF4, count: 4096), at: PhysicalAddress(0xF_D000))
    var state = Story.state(rip: 0xF_D09A, efer: [])
    state.cr0 = [.extensionType, .protectionEnable]
    state.cs = Segment(
      selector: SegmentSelector(rawValue: 8), base: 0, limit: .max, attributes: SegmentAttributes(rawValue: 0xC0_9B00))
    state.rflags = RFLAGS(rawValue: 2)
    var scene = Scene()
    scene.memory = memory
    scene.processors = [
      Story.processor(), ObservedProcessor(index: 1, state: state, source: .file("core")),
    ]
    func isNeverStarted(_ scene: Scene) -> Bool {
      Investigator.verdict(on: scene).observations.contains { $0.text.hasPrefix("Processor 1 was never started") }
    }
    #expect(isNeverStarted(scene))
    scene.processors[1].state.rflags.insert(.interruptEnable)
    #expect(!isNeverStarted(scene))
    scene.processors[1].state.rflags.remove(.interruptEnable)
    scene.memory = SparseMemory()
    #expect(!isNeverStarted(scene))
  }
}
