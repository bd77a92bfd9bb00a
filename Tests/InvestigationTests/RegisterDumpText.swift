import X86

/// A state in the form of QEMU's dumps in 64-bit mode, for tests that go through the parser (target/i386/cpu-dump.c, 7.2).
struct RegisterDumpText {
  var lines: [String]

  init(_ state: ProcessorState) {
    func hex(_ value: UInt64, _ digits: Int) -> String { Self.hex(value, digits) }
    func segment(_ name: String, _ segment: Segment) -> String {
      "\(name)=\(hex(UInt64(segment.selector.rawValue), 4)) \(hex(segment.base, 16)) \(hex(UInt64(segment.limit), 8)) "
        + hex(UInt64(segment.attributes.rawValue), 8)
    }
    func table(_ name: String, _ table: DescriptorTableRegister) -> String {
      "\(name)=     \(hex(table.base.rawValue, 16)) \(hex(UInt64(table.limit), 8))"
    }
    let r = state.generalPurpose
    lines = [
      "RAX=\(hex(r.rax, 16)) RBX=\(hex(r.rbx, 16)) RCX=\(hex(r.rcx, 16)) RDX=\(hex(r.rdx, 16))",
      "RSI=\(hex(r.rsi, 16)) RDI=\(hex(r.rdi, 16)) RBP=\(hex(r.rbp, 16)) RSP=\(hex(r.rsp, 16))",
      "R8 =\(hex(r.r8, 16)) R9 =\(hex(r.r9, 16)) R10=\(hex(r.r10, 16)) R11=\(hex(r.r11, 16))",
      "R12=\(hex(r.r12, 16)) R13=\(hex(r.r13, 16)) R14=\(hex(r.r14, 16)) R15=\(hex(r.r15, 16))",
      "RIP=\(hex(state.rip, 16)) RFL=\(hex(state.rflags.rawValue, 8)) [-------] CPL=\(state.currentPrivilegeLevel ?? 0) II=0 A20=1 SMM=0 HLT=0",
      segment("ES ", state.es), segment("CS ", state.cs), segment("SS ", state.ss), segment("DS ", state.ds),
      segment("FS ", state.fs), segment("GS ", state.gs), segment("LDT", state.ldtr), segment("TR ", state.tr),
      table("GDT", state.gdtr), table("IDT", state.idtr),
      "CR0=\(hex(state.cr0.rawValue, 8)) CR2=\(hex(state.cr2, 16)) CR3=\(hex(state.cr3, 16)) CR4=\(hex(state.cr4.rawValue, 8))",
      "EFER=\(hex(state.efer?.rawValue ?? 0, 16))",
    ]
  }

  /// Exactly so many hexadecimal digits.
  static func hex(_ value: UInt64, _ digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text.suffix(digits)
  }
}
