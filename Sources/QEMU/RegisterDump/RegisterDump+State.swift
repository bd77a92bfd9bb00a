public import X86

extension RegisterDump {
  /// The names, as QEMU writes them, of the registers that a whole dump has and this one lacks.
  ///
  /// EFER is named too, although very old versions did not print it and `state` can do without.
  public var missing: [String] {
    let numbers = Self.generalPurpose(for: width) + [.rip, .rflags, .cr0, .cr2, .cr3, .cr4, .efer]
    return numbers.filter { self[$0] == nil }.map(\.rawValue)
      + SegmentRegister.allCases.filter { self[$0] == nil }.map(\.rawValue)
      + DescriptorTable.allCases.filter { self[$0] == nil }.map(\.rawValue)
  }

  /// Whether QEMU left out upper halves that exist: long mode is active but the code segment is not a 64-bit one.
  ///
  /// Then the general-purpose registers, RIP and the bases of all segments, TR and LDTR among them, are cut to 32
  /// bits, and R8 to R15 are not shown; CR2, CR3, GDTR and IDTR are whole (`cpu-dump.c: cpu_x86_dump_seg_cache`, 7.2).
  public var hidesUpperHalves: Bool {
    guard width == .bits32, let efer = self[.efer] else { return false }
    return EFER(rawValue: efer).contains(.longModeActive)
  }

  /// The whole state, where every register it needs was shown.
  ///
  /// In a 32-bit dump R8 to R15 are zero and, where `hidesUpperHalves`, other upper halves as well.
  public var state: ProcessorState? {
    state(tables: descriptorTables.mapValues(\.value), segments: segments.mapValues(\.value))
  }

  /// The state of a dump that shows neither GDTR and IDTR nor TR and LDTR: in their place stand tables that may be anywhere. Nil for a whole
  /// dump, and where more is missing.
  public var stateWithoutTables: ProcessorState? {
    guard printer == .bochs, state == nil else { return nil }
    let anywhere = DescriptorTableRegister(base: LinearAddress(0), limit: .max)
    let task = Segment(
      selector: SegmentSelector(rawValue: 0xFFF8), base: 0, limit: .max,
      attributes: SegmentAttributes(rawValue: 0x8B00))
    var segments = segments.mapValues(\.value)
    (segments[.tr], segments[.ldtr]) = (task, task)
    return state(tables: [.gdtr: anywhere, .idtr: anywhere], segments: segments)
  }

  private func state(
    tables: [DescriptorTable: DescriptorTableRegister], segments: [SegmentRegister: Segment]
  ) -> ProcessorState? {
    guard let generalPurpose, let rip = self[.rip], let rflags = self[.rflags],
      let es = segments[.es], let cs = segments[.cs], let ss = segments[.ss], let ds = segments[.ds],
      let fs = segments[.fs], let gs = segments[.gs], let ldtr = segments[.ldtr], let tr = segments[.tr],
      let gdtr = tables[.gdtr], let idtr = tables[.idtr],
      let cr0 = self[.cr0], let cr2 = self[.cr2], let cr3 = self[.cr3], let cr4 = self[.cr4]
    else { return nil }
    return ProcessorState(
      generalPurpose: generalPurpose, rip: rip, rflags: RFLAGS(rawValue: rflags),
      es: es, cs: cs, ss: ss, ds: ds, fs: fs, gs: gs, ldtr: ldtr, tr: tr, gdtr: gdtr, idtr: idtr,
      cr0: CR0(rawValue: cr0), cr2: cr2, cr3: cr3, cr4: CR4(rawValue: cr4),
      efer: self[.efer].map(EFER.init(rawValue:)),
      currentPrivilegeLevel: self[.cpl].flatMap { $0 <= 3 ? Int($0) : nil },
      isInSMM: self[.smm].map { $0 != 0 }, isHalted: self[.halted].map { $0 != 0 },
      isAddressLine20Masked: self[.a20].map { $0 == 0 }, debug: debug)
  }

  private var debug: DebugRegisters? {
    guard let dr0 = self[.dr0], let dr1 = self[.dr1], let dr2 = self[.dr2], let dr3 = self[.dr3], let dr6 = self[.dr6],
      let dr7 = self[.dr7]
    else { return nil }
    return DebugRegisters(dr0: dr0, dr1: dr1, dr2: dr2, dr3: dr3, dr6: dr6, dr7: dr7)
  }

  private static func generalPurpose(for width: Width?) -> [Register] {
    let low: [Register] = [.rax, .rbx, .rcx, .rdx, .rsi, .rdi, .rbp, .rsp]
    return width == .bits32 ? low : low + [.r8, .r9, .r10, .r11, .r12, .r13, .r14, .r15]
  }

  /// The general-purpose registers, where all that the dump's width has were shown.
  public var generalPurpose: GeneralPurposeRegisters? {
    guard Self.generalPurpose(for: width).allSatisfy({ self[$0] != nil }) else { return nil }
    var values = GeneralPurposeRegisters()
    values.rax = self[.rax] ?? 0
    values.rbx = self[.rbx] ?? 0
    values.rcx = self[.rcx] ?? 0
    values.rdx = self[.rdx] ?? 0
    values.rsi = self[.rsi] ?? 0
    values.rdi = self[.rdi] ?? 0
    values.rbp = self[.rbp] ?? 0
    values.rsp = self[.rsp] ?? 0
    values.r8 = self[.r8] ?? 0
    values.r9 = self[.r9] ?? 0
    values.r10 = self[.r10] ?? 0
    values.r11 = self[.r11] ?? 0
    values.r12 = self[.r12] ?? 0
    values.r13 = self[.r13] ?? 0
    values.r14 = self[.r14] ?? 0
    values.r15 = self[.r15] ?? 0
    return values
  }
}
