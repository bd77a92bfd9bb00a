public import X86

/// What kvm_intel prints of a VMCS after a failed entry, with dump_invalid_vmcs=1 (arch/x86/kvm/vmx/vmx.c: dump_vmcs, Linux 4.2 to 6.19).
///
/// Only the guest's state and the controls that its rules depend on are kept; the host's state is passed over.
public struct VMCSDump: Hashable, Sendable {
  public var guest = GuestEntryState()
  /// CR0 and CR4 as the guest reads them (the read shadows).
  public var shadowCR0: UInt64?
  public var shadowCR4: UInt64?
  public var rsp: UInt64?
  /// The exit reason, with bit 31 for a failed entry.
  public var exitReason: UInt32?
  public var exitQualification: UInt64?
  /// RVI and SVI: a requested and a serviced virtual interrupt.
  public var interruptStatus: UInt16?
  public var entryControls: UInt32?
  public var secondaryControls: UInt32?

  /// Which part of the dump the lines are of.
  private var section = Section.guest

  private enum Section: Hashable {
    case guest
    case host
    case control
  }

  init() {}

  /// Whether a line begins such a dump.
  static func begins(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    return scanner.skip(past: "*** Guest State ***")
  }

  /// Takes one more line; false where it is none of a dump.
  mutating func take(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    if scanner.skip(past: "*** Host State ***") {
      section = .host
      return true
    }
    scanner = LineScanner(line.bytes)
    if scanner.skip(past: "*** Control State ***") {
      section = .control
      return true
    }
    let taken =
      switch section {
      case .guest: takeGuest(line)
      case .host: false
      case .control: takeControl(line)
      }
    return taken || Self.isOfDump(line)
  }

  /// Whether a line that tells nothing kept here is still part of a dump, so that it does not end it.
  private static func isOfDump(_ line: LogLine) -> Bool {
    for text in [
      "PDPTR", "Sysenter RSP", "DebugCtl", "BndCfgS", "PerfGlobCtl", "MSR guest", "MSR host", "FSBase", "GDTBase",
      "CR3-target", "TSC Offset", "TSC Multiplier", "virt-APIC", "APIC-access", "PostedIntrVec", "EPT pointer",
      "PLE Gap", "Virtual processor ID", "ExceptionBitmap", "PinBased", "CPUBased", "IDTVectoring", "TPR Threshold",
      "SVI|RVI", "RIP = ", "CS=", "CR0=", "EFER =", "EFER= ", "VMExit:", "autoload", "CET", "S_CET",
    ] as [StaticString] {
      var scanner = LineScanner(line.bytes)
      if scanner.skip(past: text) { return true }
    }
    return false
  }

  // MARK: Guest state

  private mutating func takeGuest(_ line: LogLine) -> Bool {
    if takeSegment(line) || takeTable(line) { return true }
    var isTaken = false
    func number(after text: StaticString) -> UInt64? {
      var scanner = LineScanner(line.bytes)
      guard scanner.skip(past: text) else { return nil }
      scanner.skipBlanks()
      return scanner.prefixedHex()
    }
    if let value = number(after: "CR0: actual=") {
      guest.cr0 = CR0(rawValue: value)
      shadowCR0 = number(after: "shadow=")
      isTaken = true
    }
    if let value = number(after: "CR4: actual=") {
      guest.cr4 = CR4(rawValue: value)
      shadowCR4 = number(after: "shadow=")
      isTaken = true
    }
    if let value = number(after: "CR3 = ") {
      guest.cr3 = value
      isTaken = true
    }
    // "Sysenter RSP=" has no blank before the sign.
    if let value = number(after: "RSP = ") {
      rsp = value
      isTaken = true
    }
    if let value = number(after: "RIP = ") {
      guest.rip = value
      isTaken = true
    }
    if let value = number(after: "RFLAGS=") {
      guest.rflags = RFLAGS(rawValue: value)
      isTaken = true
    }
    if let value = number(after: "DR7 = ") { guest.dr7 = value }
    if let value = number(after: "EFER =") ?? number(after: "EFER= ") {
      guest.efer = EFER(rawValue: value)
      isTaken = true
    }
    if let value = number(after: "Interruptibility = ") {
      guest.interruptibility = UInt32(truncatingIfNeeded: value)
      isTaken = true
    }
    if let value = number(after: "ActivityState = ") { guest.activity = UInt32(truncatingIfNeeded: value) }
    if let value = number(after: "InterruptStatus = ") {
      interruptStatus = UInt16(truncatingIfNeeded: value)
      isTaken = true
    }
    return isTaken
  }

  /// `CS:   sel=0xf000, attr=0x0009b, limit=0x0000ffff, base=0x00000000ffff0000`.
  private mutating func takeSegment(_ line: LogLine) -> Bool {
    for name in EntrySegment.allCases {
      var scanner = LineScanner(line.bytes)
      guard Self.skip(name, &scanner) else { continue }
      scanner.skipBlanks()
      guard scanner.skip("sel=") else { return false }
      guard let selector = scanner.prefixedHex(), scanner.skip(", attr="), let rights = scanner.prefixedHex(),
        scanner.skip(", limit="), let limit = scanner.prefixedHex(), scanner.skip(", base="),
        let base = scanner.prefixedHex()
      else { return true }
      guest.segments[name] = Segment(
        selector: SegmentSelector(rawValue: UInt16(truncatingIfNeeded: selector)), base: base,
        limit: UInt32(truncatingIfNeeded: limit),
        attributes: SegmentAttributes(accessRights: UInt32(truncatingIfNeeded: rights)))
      return true
    }
    return false
  }

  private static func skip(_ name: EntrySegment, _ scanner: inout LineScanner) -> Bool {
    switch name {
    case .es: scanner.skip(past: "ES: ")
    case .cs: scanner.skip(past: "CS: ")
    case .ss: scanner.skip(past: "SS: ")
    case .ds: scanner.skip(past: "DS: ")
    case .fs: scanner.skip(past: "FS: ")
    case .gs: scanner.skip(past: "GS: ")
    case .ldtr: scanner.skip(past: "LDTR: ")
    case .tr: scanner.skip(past: " TR: ") || scanner.skip("TR: ")
    }
  }

  private mutating func takeTable(_ line: LogLine) -> Bool {
    func table(_ name: StaticString) -> EntryTable? {
      var scanner = LineScanner(line.bytes)
      guard scanner.skip(past: name) else { return nil }
      scanner.skipBlanks()
      guard scanner.skip("limit="), let limit = scanner.prefixedHex(), scanner.skip(", base="),
        let base = scanner.prefixedHex()
      else { return nil }
      return EntryTable(base: base, limit: UInt32(truncatingIfNeeded: limit))
    }
    if let table = table("GDTR: ") {
      guest.gdtr = table
      return true
    }
    guard let table = table("IDTR: ") else { return false }
    guest.idtr = table
    return true
  }

  // MARK: Controls

  private mutating func takeControl(_ line: LogLine) -> Bool {
    var isTaken = false
    func number(after text: StaticString) -> UInt64? {
      var scanner = LineScanner(line.bytes)
      guard scanner.skip(past: text) else { return nil }
      return scanner.prefixedHex()
    }
    if let value = number(after: "EntryControls=") {
      entryControls = UInt32(truncatingIfNeeded: value)
      // Bit 9, IA-32e mode guest (SDM vol. 3, table 24-15).
      guest.isIA32eModeGuest = value >> 9 & 1 == 1
      isTaken = true
    }
    if let value = number(after: "SecondaryExec=") {
      secondaryControls = UInt32(truncatingIfNeeded: value)
      // Bit 7, unrestricted guest (SDM vol. 3, table 24-7).
      guest.isUnrestricted = value >> 7 & 1 == 1
      isTaken = true
    }
    if let value = number(after: "VMEntry: intr_info=") {
      guest.event = UInt32(truncatingIfNeeded: value)
      isTaken = true
    }
    if let value = number(after: "reason=") {
      exitReason = UInt32(truncatingIfNeeded: value)
      exitQualification = number(after: "qualification=")
      isTaken = true
    }
    return isTaken
  }
}

extension SegmentAttributes {
  /// From a VMCS's access rights, where bit 16 says that the segment is unusable (SDM vol. 3, table 24-2).
  init(accessRights rights: UInt32) {
    let isUnusable = rights >> 16 & 1 == 1
    let low = (rights & 0xFF) << 8
    let high = (rights & 0xF000) << 8
    self.init(rawValue: isUnusable ? (low | high) & ~Self.present.rawValue : low | high)
  }
}
