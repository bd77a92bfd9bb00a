import GuestMemory
import Investigation
import QEMU
import X86

/// A healthy guest of 4 MiB: 4-level tables that map it one to one in 2 MiB pages, all used, an IDT with a gate for each
/// exception, a GDT and a TSS. A test breaks one thing of it.
struct SmallGuest {
  static let pml4: UInt64 = 0x1000
  static let pdpt: UInt64 = 0x2000
  static let directory: UInt64 = 0x3000
  static let idt: UInt64 = 0x4000
  static let gdt: UInt64 = 0x5000
  static let tss: UInt64 = 0x6000
  static let handler: UInt64 = 0x7000

  var memory = SparseMemory()
  var state: ProcessorState
  var accelerator: Accelerator? = .tcg

  init() {
    state = Story.state(rip: 0x10_0000, cr3: Self.pml4, idtLimit: 32 * 16 - 1)
    state.efer = [.longModeEnable, .longModeActive, .executeDisableEnable]
    state.cr0 = [.protectionEnable, .extensionType, .writeProtect, .paging]
    state.cr4 = [.physicalAddressExtension, .osFXSR]
    state.cs = Self.segment(8, 0x00AF_9B00)
    state.ss = Self.segment(0x10, 0x00CF_9300)
    state.tr = Segment(
      selector: SegmentSelector(rawValue: 0x18), base: Self.tss, limit: 0x67,
      attributes: SegmentAttributes(rawValue: 0x8B00))
    state.gdtr = DescriptorTableRegister(base: LinearAddress(Self.gdt), limit: 0x27)
    state.idtr.base = LinearAddress(Self.idt)
    state.generalPurpose.rsp = 0x9000
    memory.store(Self.pdpt | 0x23, at: Self.pml4)
    memory.store(Self.directory | 0x23, at: Self.pdpt)
    for page in UInt64(0)..<2 { memory.store(page << 21 | 0xE3, at: Self.directory + 8 * page) }
    memory.store(0x00AF_9B00_0000_FFFF, at: Self.gdt + 8)
    memory.store(0x00CF_9300_0000_FFFF, at: Self.gdt + 16)
    for vector in UInt64(0)..<32 { setGate(vector, Self.gate()) }
    memory.store([0xF4], at: Self.handler)
    for page in [0x8000, 0x10_0000] as [UInt64] { memory.store(0, at: page) }
    memory.store(0x8800 << 32, at: Self.tss)
    memory.store(0x8400 << 32, at: Self.tss + 32)
  }

  static func segment(_ selector: UInt16, _ attributes: UInt32) -> Segment {
    Segment(
      selector: SegmentSelector(rawValue: selector), base: 0, limit: .max,
      attributes: SegmentAttributes(rawValue: attributes & 0x00F0_FF00))
  }

  /// The lower 8 bytes of an interrupt gate; the upper ones are zero.
  static func gate(
    to offset: UInt64 = handler, selector: UInt64 = 8, type: UInt64 = 0xE, present: Bool = true, ist: UInt64 = 0
  ) -> UInt64 {
    offset & 0xFFFF | selector << 16 | ist << 32 | type << 40 | (present ? 1 << 47 : 0) | (offset >> 16 & 0xFFFF) << 48
  }

  mutating func setGate(_ vector: UInt64, _ low: UInt64) { memory.store(low, at: Self.idt + 16 * vector) }

  var paging: Paging? {
    Paging(
      state,
      rules: PagingRules(hasGiBPages: false, maximumPhysicalAddressBits: 40, isAMD: false, fourMiBPageAddressBits: 40))
  }

  var scene: Scene {
    var scene = Scene()
    scene.accelerator = accelerator.map { Sourced($0, .qmp("query-kvm")) }
    scene.processors = [Story.processor(state)]
    scene.memory = memory
    scene.guestFeatures = Sourced([.pdpe1gb: false], .qmp("test"))
    scene.physicalAddressBits = Sourced(40, .qmp("test"))
    return scene
  }

  var checkup: Checkup { Checkup(of: scene) }
}
