extension GuestEntryState {
  /// The rules of VMX for a guest's state that this one certainly breaks (SDM vol. 3, 26.3.1). What is not shown breaks none, and what the
  /// processor's capability MSRs decide (the fixed bits of CR0 and CR4) is not judged.
  public var vmxViolations: [GuestStateViolation] {
    controlRegisters + flags + instructionPointer + codeSegment + stackSegment + dataSegments + systemSegments + tables
      + nonRegisterState
  }

  /// What keeps real mode's state from being entered as virtual-8086 mode, as it must be without unrestricted guests: bases and limits. The
  /// attributes are KVM's to set (Linux arch/x86/kvm/vmx/vmx.c: fix_rmode_seg, rmode_segment_valid, 6.1). Empty outside real mode.
  public var violationsWithoutUnrestrictedGuest: [GuestStateViolation] {
    guard cr0?.contains(.protectionEnable) == false, isUnrestricted != true else { return [] }
    return [EntrySegment.cs, .ss, .ds, .es, .fs, .gs].flatMap { name -> [GuestStateViolation] in
      guard var segment = segments[name] else { return [] }
      segment.attributes = SegmentAttributes(rawValue: 0xF300)
      // The reset's own CS, which KVM enters with its base cut to F0000H.
      if name == .cs, segment.base == 0xFFFF_0000, segment.selector.rawValue == 0xF000 { return [] }
      return virtual8086Violations(name, segment)
    }
  }

  private var isVirtual8086: Bool { rflags?.contains(.virtual8086Mode) == true }

  // MARK: 26.3.1.1, control registers, debug registers and MSRs

  private var controlRegisters: [GuestStateViolation] {
    let section = "SDM vol. 3, 26.3.1.1"
    var found: [GuestStateViolation] = []
    func require(_ isSo: Bool?, _ words: @autoclosure () -> String) {
      if isSo == false { found.append(GuestStateViolation(words(), rule: section)) }
    }
    if let cr0 {
      if cr0.contains(.paging) { require(cr0.contains(.protectionEnable), "CR0.PG is 1 with CR0.PE 0") }
      require(cr0.rawValue >> 32 == 0, "CR0 has bits above 31 set (\(cr0.rawValue.hexadecimal))")
      if cr4?.contains(.controlFlowEnforcement) == true {
        require(cr0.contains(.writeProtect), "CR4.CET is 1 with CR0.WP 0")
      }
    }
    switch isIA32eModeGuest {
    case true?:
      require(cr0.map { $0.contains(.paging) }, "the guest is in IA-32e mode, but CR0.PG is 0")
      require(cr4.map { $0.contains(.physicalAddressExtension) }, "the guest is in IA-32e mode, but CR4.PAE is 0")
    case false?:
      require(
        cr4.map { !$0.contains(.processContextIdentifiers) },
        "CR4.PCIDE (bit 17) is 1, but the guest is not in IA-32e mode (EFER.LMA 0)")
    case nil: break
    }
    if let efer, let cr0, cr0.contains(.paging) {
      require(
        efer.contains(.longModeActive) == efer.contains(.longModeEnable),
        "EFER.LME and EFER.LMA differ while CR0.PG is 1 (EFER \(efer.rawValue.hexadecimal))")
    }
    if let efer, let isIA32eModeGuest {
      require(
        efer.contains(.longModeActive) == isIA32eModeGuest,
        "EFER.LMA is \(efer.contains(.longModeActive) ? 1 : 0), but the entry control \"IA-32e mode guest\" is \(isIA32eModeGuest ? 1 : 0)"
      )
    }
    require(cr3.map { $0 >> 52 == 0 }, "CR3 has bits above 51 set (\((cr3 ?? 0).hexadecimal))")
    require(dr7.map { $0 >> 32 == 0 }, "DR7 has bits above 31 set (\((dr7 ?? 0).hexadecimal))")
    return found
  }

  // MARK: 26.3.1.4, RIP and RFLAGS

  private var flags: [GuestStateViolation] {
    guard let rflags else { return [] }
    let section = "SDM vol. 3, 26.3.1.4"
    var found: [GuestStateViolation] = []
    let value = rflags.rawValue.hexadecimal
    if rflags.rawValue & 2 == 0 {
      found.append(GuestStateViolation("RFLAGS bit 1 is 0 (\(value)); it is always 1", rule: section))
    }
    // 3, 5, 15 and 63:22.
    if rflags.rawValue & ~0x3F_FFFF | rflags.rawValue & 0x8028 != 0 {
      found.append(GuestStateViolation("RFLAGS has reserved bits set (\(value))", rule: section))
    }
    if isVirtual8086, isIA32eModeGuest == true || cr0?.contains(.protectionEnable) == false {
      found.append(GuestStateViolation("RFLAGS.VM is 1 in IA-32e mode or with CR0.PE 0", rule: section))
    }
    if let event, event >> 31 == 1, event >> 8 & 7 == 0, !rflags.contains(.interruptEnable) {
      found.append(GuestStateViolation("an external interrupt is to be injected, but RFLAGS.IF is 0", rule: section))
    }
    return found
  }

  private var instructionPointer: [GuestStateViolation] {
    guard let rip else { return [] }
    let section = "SDM vol. 3, 26.3.1.4"
    let is64BitCode = isIA32eModeGuest.flatMap { isLong in
      isLong ? segments[.cs].map { $0.attributes.contains(.long) } : false
    }
    if is64BitCode == false, rip >> 32 != 0 {
      return [
        GuestStateViolation(
          "RIP is \(rip.hexadecimal), but the guest does not run 64-bit code (IA-32e mode and CS.L): bits 63:32 must be 0",
          rule: section)
      ]
    }
    if is64BitCode == true, !isCanonical(rip) {
      return [GuestStateViolation("RIP \(rip.hexadecimal) is not canonical", rule: section)]
    }
    return []
  }

  private func isCanonical(_ address: UInt64) -> Bool {
    Paging.isCanonical(LinearAddress(address), unusedBits: cr4?.contains(.linearAddress57) == true ? 7 : 16)
  }

  // MARK: 26.3.1.2, segment registers

  private static let segmentSection = "SDM vol. 3, 26.3.1.2"

  private func segmentViolation(_ words: String) -> GuestStateViolation {
    GuestStateViolation(words, rule: Self.segmentSection)
  }

  /// In virtual-8086 mode the base, limit and attributes are fixed.
  private func virtual8086Violations(_ name: EntrySegment, _ segment: Segment) -> [GuestStateViolation] {
    var found: [GuestStateViolation] = []
    if segment.base != UInt64(segment.selector.rawValue) << 4 {
      found.append(
        segmentViolation(
          "\(name.rawValue) has base \(segment.base.hexadecimal): not 16 times the selector \(segment.selector.rawValue.hexadecimal)"
        ))
    }
    if segment.limit != 0xFFFF {
      found.append(
        segmentViolation(
          "\(name.rawValue) has the limit \(segment.limit.hexadecimal) in virtual-8086 mode: must be ffff"))
    }
    if segment.attributes.rawValue & 0xF0_FF00 != 0xF300 {
      found.append(
        segmentViolation(
          "\(name.rawValue) has the attributes \(segment.attributes.rawValue.hexadecimal) in virtual-8086 mode: must be f300"
        ))
    }
    return found
  }

  /// P, S and the granularity of the limit, which are alike for all segments of code and data.
  private func commonViolations(_ name: EntrySegment, _ segment: Segment) -> [GuestStateViolation] {
    var found: [GuestStateViolation] = []
    if !segment.attributes.contains(.codeOrData) {
      found.append(segmentViolation("\(name.rawValue) is no code or data segment (S is 0)"))
    }
    if name == .cs, !segment.attributes.contains(.present) { found.append(segmentViolation("CS is not present")) }
    found += granularityViolations(name, segment)
    return found
  }

  /// G is 0 if a low bit of the limit is 0, and 1 if a high bit is 1.
  private func granularityViolations(_ name: EntrySegment, _ segment: Segment) -> [GuestStateViolation] {
    let isGranular = segment.attributes.contains(.granularity)
    let limit = segment.limit
    guard isGranular ? limit & 0xFFF != 0xFFF : limit >> 20 != 0 else { return [] }
    return [segmentViolation("\(name.rawValue) has the limit \(limit.hexadecimal) with G \(isGranular ? 1 : 0)")]
  }

  private var codeSegment: [GuestStateViolation] {
    guard let segment = segments[.cs] else { return [] }
    if isVirtual8086 { return virtual8086Violations(.cs, segment) }
    var found = commonViolations(.cs, segment)
    let type = segment.attributes.type
    let mayBeData = isUnrestricted != false
    if type & 1 == 0 || type & 8 == 0 && !(mayBeData && type == 3) {
      found.append(
        segmentViolation("CS has the type \(type): must be accessed code (9, 11, 13, 15)\(mayBeData ? " or 3" : "")"))
    }
    if isIA32eModeGuest == true, segment.attributes.isSuperset(of: [.long, .big]) {
      found.append(
        segmentViolation(
          "CS has both L and D set (attributes \(segment.attributes.rawValue.hexadecimal)) in IA-32e mode"))
    }
    if segment.base >> 32 != 0 {
      found.append(segmentViolation("CS has a base above 4 GiB (\(segment.base.hexadecimal))"))
    }
    if let stack = segments[.ss], stack.attributes.contains(.present) {
      let (dpl, stackDPL) = (segment.attributes.descriptorPrivilegeLevel, stack.attributes.descriptorPrivilegeLevel)
      if type == 9 || type == 11, dpl != stackDPL {
        found.append(segmentViolation("CS has DPL \(dpl) and SS DPL \(stackDPL): must be the same"))
      }
    }
    return found
  }

  private var stackSegment: [GuestStateViolation] {
    guard let segment = segments[.ss] else { return [] }
    if isVirtual8086 { return virtual8086Violations(.ss, segment) }
    var found: [GuestStateViolation] = []
    if cr0?.contains(.protectionEnable) == false, segment.attributes.contains(.present),
      segment.attributes.descriptorPrivilegeLevel != 0
    {
      found.append(
        segmentViolation("SS has DPL \(segment.attributes.descriptorPrivilegeLevel) with CR0.PE 0: must be 0"))
    }
    if isUnrestricted == false, let code = segments[.cs],
      code.selector.requestedPrivilegeLevel != segment.selector.requestedPrivilegeLevel
    {
      found.append(segmentViolation("SS and CS have different RPLs"))
    }
    guard segment.attributes.contains(.present) else { return found }
    if ![3, 7].contains(segment.attributes.type) {
      found.append(
        segmentViolation("SS has the type \(segment.attributes.type): must be 3 or 7, accessed and writable"))
    }
    return found + commonViolations(.ss, segment) + narrowBaseViolations(.ss, segment)
  }

  private func narrowBaseViolations(_ name: EntrySegment, _ segment: Segment) -> [GuestStateViolation] {
    segment.base >> 32 == 0
      ? [] : [segmentViolation("\(name.rawValue) has a base above 4 GiB (\(segment.base.hexadecimal))")]
  }

  private var dataSegments: [GuestStateViolation] {
    [EntrySegment.ds, .es, .fs, .gs].flatMap { name -> [GuestStateViolation] in
      guard let segment = segments[name] else { return [] }
      if isVirtual8086 { return virtual8086Violations(name, segment) }
      var found: [GuestStateViolation] = []
      if name == .fs || name == .gs, !isCanonical(segment.base) {
        found.append(
          segmentViolation("\(name.rawValue) has a base that is not canonical (\(segment.base.hexadecimal))"))
      }
      guard segment.attributes.contains(.present) else { return found }
      let type = segment.attributes.type
      if type & 1 == 0 { found.append(segmentViolation("\(name.rawValue) has the type \(type): must be accessed")) }
      if type & 8 != 0, type & 2 == 0 {
        found.append(segmentViolation("\(name.rawValue) is code that may not be read"))
      }
      if name == .ds || name == .es { found += narrowBaseViolations(name, segment) }
      return found + commonViolations(name, segment)
    }
  }

  private var systemSegments: [GuestStateViolation] {
    var found: [GuestStateViolation] = []
    if let segment = segments[.tr] {
      let type = segment.attributes.type
      let allowed: [UInt8] = isIA32eModeGuest == true ? [11] : [3, 11]
      if !allowed.contains(type) {
        found.append(
          segmentViolation(
            "TR has the type \(type): must be a busy TSS (\(isIA32eModeGuest == true ? "11" : "3 or 11"))"))
      }
      if segment.attributes.contains(.codeOrData) { found.append(segmentViolation("TR is no system segment (S is 1)")) }
      if !segment.attributes.contains(.present) { found.append(segmentViolation("TR is not present or unusable")) }
      if segment.selector.isLocal { found.append(segmentViolation("TR's selector names the LDT")) }
      if !isCanonical(segment.base) {
        found.append(segmentViolation("TR has a base that is not canonical (\(segment.base.hexadecimal))"))
      }
      found += granularityViolations(.tr, segment)
    }
    if let segment = segments[.ldtr], segment.attributes.contains(.present) {
      if segment.attributes.type != 2 {
        found.append(segmentViolation("LDTR has the type \(segment.attributes.type): must be 2"))
      }
      if segment.selector.isLocal { found.append(segmentViolation("LDTR's selector names the LDT")) }
      if !isCanonical(segment.base) {
        found.append(segmentViolation("LDTR has a base that is not canonical (\(segment.base.hexadecimal))"))
      }
    }
    return found
  }

  // MARK: 26.3.1.3, descriptor tables

  private var tables: [GuestStateViolation] {
    [("GDTR", gdtr), ("IDTR", idtr)].flatMap { name, table -> [GuestStateViolation] in
      guard let table else { return [] }
      var found: [GuestStateViolation] = []
      let section = "SDM vol. 3, 26.3.1.3"
      if !isCanonical(table.base) {
        found.append(
          GuestStateViolation("\(name) has a base that is not canonical (\(table.base.hexadecimal))", rule: section))
      }
      if table.limit >> 16 != 0 {
        found.append(
          GuestStateViolation("\(name) has a limit of more than 16 bits (\(table.limit.hexadecimal))", rule: section))
      }
      return found
    }
  }

  // MARK: 26.3.1.5, the rest

  private var nonRegisterState: [GuestStateViolation] {
    let section = "SDM vol. 3, 26.3.1.5"
    var found: [GuestStateViolation] = []
    if let activity {
      if activity > 3 {
        found.append(GuestStateViolation("the activity state is \(activity): must be 0 to 3", rule: section))
      }
      let isStackDPLZero = segments[.ss].map { $0.attributes.descriptorPrivilegeLevel == 0 }
      if activity == 1, isStackDPLZero == false {
        found.append(GuestStateViolation("the activity state is HLT with SS.DPL not 0", rule: section))
      }
      if activity != 0, let interruptibility, interruptibility & 3 != 0 {
        found.append(
          GuestStateViolation(
            "the activity state is not active, but interrupts are blocked by STI or MOV SS", rule: section))
      }
    }
    if let interruptibility {
      let value = interruptibility.hexadecimal
      if interruptibility & 3 == 3 {
        found.append(
          GuestStateViolation(
            "interrupts are blocked both by STI and by MOV SS (interruptibility \(value))", rule: section))
      }
      if interruptibility & 1 == 1, rflags?.contains(.interruptEnable) == false {
        found.append(GuestStateViolation("interrupts are blocked by STI, but RFLAGS.IF is 0", rule: section))
      }
      if interruptibility & 3 != 0, let event, event >> 31 == 1, event >> 8 & 7 == 0 {
        found.append(
          GuestStateViolation(
            "an external interrupt is to be injected while interrupts are blocked (interruptibility \(value))",
            rule: section))
      }
      if interruptibility >> 5 != 0 {
        found.append(GuestStateViolation("the interruptibility has reserved bits set (\(value))", rule: section))
      }
    }
    return found
  }
}
