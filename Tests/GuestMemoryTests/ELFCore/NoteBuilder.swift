import FileBuilding
import X86

/// The notes of a core in the making.
struct NoteBuilder {
  private(set) var bytes: [UInt8] = []

  mutating func add(_ name: String, _ type: UInt32, _ contents: [UInt8]) {
    var note = ByteBuilder()
    note.integer(UInt32(name.utf8.count + 1))
    note.integer(UInt32(contents.count))
    note.integer(type)
    note.string(name)
    note.pad(to: 4)
    note.bytes += contents
    note.pad(to: 4)
    bytes += note.bytes
  }

  /// QEMUCPUState.
  mutating func add(_ state: ProcessorState, version: UInt32 = 1, size: Int = 440) {
    var note = ByteBuilder()
    note.integer(version)
    note.integer(UInt32(size))
    let registers = state.generalPurpose
    for value in [
      registers.rax, registers.rbx, registers.rcx, registers.rdx, registers.rsi, registers.rdi, registers.rsp,
      registers.rbp, registers.r8, registers.r9, registers.r10, registers.r11, registers.r12, registers.r13,
      registers.r14, registers.r15, state.rip, state.rflags.rawValue,
    ] {
      note.integer(value)
    }
    for segment in [state.cs, state.ds, state.es, state.fs, state.gs, state.ss, state.ldtr, state.tr] {
      note.segment(UInt32(segment.selector.rawValue), segment.limit, segment.attributes.rawValue, segment.base)
    }
    for table in [state.gdtr, state.idtr] { note.segment(0, UInt32(table.limit), 0, table.base.rawValue) }
    for value in [state.cr0.rawValue, 0, state.cr2, state.cr3, state.cr4.rawValue, 0] { note.integer(value) }
    add("QEMU", 0, Array(note.bytes.prefix(size)))
  }

  /// NT_PRSTATUS of x86-64: each register has its place in the structure as its value.
  mutating func addThreadStatus(_ thread: UInt32) {
    var note = ByteBuilder()
    note.bytes = [UInt8](repeating: 0, count: 32)
    note.integer(thread)
    note.bytes += [UInt8](repeating: 0, count: 76)
    for place in 0..<27 { note.integer(UInt64(place)) }
    note.bytes += [UInt8](repeating: 0, count: 8)
    add("CORE", 1, note.bytes)
  }

  /// NT_PRSTATUS of i386, in the same way.
  mutating func addThreadStatus32(_ thread: UInt32) {
    var note = ByteBuilder()
    note.bytes = [UInt8](repeating: 0, count: 24)
    note.integer(thread)
    note.bytes += [UInt8](repeating: 0, count: 44)
    for place in 0..<17 { note.integer(UInt32(place)) }
    note.bytes += [UInt8](repeating: 0, count: 4)
    add("CORE", 1, note.bytes)
  }
}

extension ByteBuilder {
  /// QEMUCPUSegment.
  fileprivate mutating func segment(_ selector: UInt32, _ limit: UInt32, _ flags: UInt32, _ base: UInt64) {
    integer(selector)
    integer(limit)
    integer(flags)
    integer(UInt32(0))
    integer(base)
  }
}

/// A state in which every register differs from every other.
let distinctState: ProcessorState = {
  func segment(_ number: UInt64) -> Segment {
    Segment(
      selector: SegmentSelector(rawValue: UInt16(number << 3 | 3)), base: number << 32 | 0x1000,
      limit: UInt32(number) << 12 | 0xFFF, attributes: SegmentAttributes(rawValue: UInt32(number) << 20 | 0xF300))
  }
  var registers = GeneralPurposeRegisters()
  registers.rax = 0x100
  registers.rbx = 0x101
  registers.rcx = 0x102
  registers.rdx = 0x103
  registers.rsi = 0x104
  registers.rdi = 0x105
  registers.rsp = 0x106
  registers.rbp = 0x107
  registers.r8 = 0x108
  registers.r9 = 0x109
  registers.r10 = 0x10A
  registers.r11 = 0x10B
  registers.r12 = 0x10C
  registers.r13 = 0x10D
  registers.r14 = 0x10E
  registers.r15 = 0x10F
  return ProcessorState(
    generalPurpose: registers, rip: 0xFFFF_FFFF_8000_1234, rflags: [.interruptEnable, .zero],
    es: segment(1), cs: segment(2), ss: segment(3), ds: segment(4), fs: segment(5), gs: segment(6), ldtr: segment(7),
    tr: segment(8), gdtr: DescriptorTableRegister(base: LinearAddress(0xA000), limit: 0x7F),
    idtr: DescriptorTableRegister(base: LinearAddress(0xB000), limit: 0xFFF),
    cr0: [.protectionEnable, .paging, .writeProtect], cr2: 0xDEAD_0000, cr3: 0x10_2000,
    cr4: [.physicalAddressExtension, .pageGlobalEnable], efer: nil, currentPrivilegeLevel: 3)
}()
