import Files
import X86

extension ProcessorState {
  /// The fixed size of the fields that are read: kernel_gs_base, which follows them, came later.
  private static let qemuNoteSize = 432

  /// Reads the note `QEMU` of one vCPU: `QEMUCPUState` (target/i386/arch_dump.c, 7.2 and 10.2; version 1 since 1.3).
  ///
  /// It has no EFER. Under TCG the arithmetic flags and DF are as of some earlier moment: the note gives `env->eflags`,
  /// which TCG brings up to date only when asked (cpu_compute_eflags, which `info registers` does; seen with 7.2).
  init(qemuNote reader: inout ByteReader) throws(FileError) {
    guard reader.remaining >= Self.qemuNoteSize else {
      throw reader.error("a note QEMU of \(reader.remaining) bytes is shorter than the registers it should hold")
    }
    let version = try reader.integer(UInt32.self, "the version of a note QEMU")
    guard version == 1 else { throw reader.error("a note QEMU of version \(version) is none that Inquest knows (1)") }
    try reader.skip(4, "its size")
    var registers = GeneralPurposeRegisters()
    for register in [
      \GeneralPurposeRegisters.rax, \.rbx, \.rcx, \.rdx, \.rsi, \.rdi, \.rsp, \.rbp,
      \.r8, \.r9, \.r10, \.r11, \.r12, \.r13, \.r14, \.r15,
    ] {
      registers[keyPath: register] = try reader.integer(UInt64.self, "a register")
    }
    let rip = try reader.integer(UInt64.self, "RIP")
    let rflags = try reader.integer(UInt64.self, "RFLAGS")
    let cs = try Segment(qemuNote: &reader)
    let ds = try Segment(qemuNote: &reader)
    let es = try Segment(qemuNote: &reader)
    let fs = try Segment(qemuNote: &reader)
    let gs = try Segment(qemuNote: &reader)
    let ss = try Segment(qemuNote: &reader)
    let ldtr = try Segment(qemuNote: &reader)
    let tr = try Segment(qemuNote: &reader)
    let gdtr = try Segment(qemuNote: &reader)
    let idtr = try Segment(qemuNote: &reader)
    let cr0 = try reader.integer(UInt64.self, "CR0")
    try reader.skip(8, "CR1")
    let cr2 = try reader.integer(UInt64.self, "CR2")
    let cr3 = try reader.integer(UInt64.self, "CR3")
    let cr4 = try reader.integer(UInt64.self, "CR4")
    self.init(
      generalPurpose: registers, rip: rip, rflags: RFLAGS(rawValue: rflags),
      es: es, cs: cs, ss: ss, ds: ds, fs: fs, gs: gs, ldtr: ldtr, tr: tr,
      gdtr: DescriptorTableRegister(gdtr), idtr: DescriptorTableRegister(idtr),
      cr0: CR0(rawValue: cr0), cr2: cr2, cr3: cr3, cr4: CR4(rawValue: cr4), efer: nil,
      // SS.DPL is always the CPL (SDM vol. 3, "Guest Register State"; QEMU takes it from there for KVM, too:
      // target/i386/kvm/kvm.c: kvm_get_sregs, 7.2).
      currentPrivilegeLevel: ss.attributes.descriptorPrivilegeLevel)
  }
}

extension Segment {
  /// Reads `QEMUCPUSegment`: its limit is in bytes, and its flags are the descriptor's second word.
  fileprivate init(qemuNote reader: inout ByteReader) throws(FileError) {
    let selector = try reader.integer(UInt32.self, "a selector")
    let limit = try reader.integer(UInt32.self, "a segment's limit")
    let flags = try reader.integer(UInt32.self, "a segment's flags")
    try reader.skip(4, "padding")
    let base = try reader.integer(UInt64.self, "a segment's base")
    self.init(
      selector: SegmentSelector(rawValue: UInt16(truncatingIfNeeded: selector)), base: base, limit: limit,
      attributes: SegmentAttributes(rawValue: flags))
  }
}

extension DescriptorTableRegister {
  fileprivate init(_ segment: Segment) {
    self.init(base: LinearAddress(segment.base), limit: UInt16(truncatingIfNeeded: segment.limit))
  }
}
