public import X86

/// What kvm_amd prints of a VMCB after a failed VMRUN, with dump_invalid_vmcb=1 (arch/x86/kvm/svm/svm.c: dump_vmcb, Linux 5.8 to 6.19).
public struct VMCBDump: Hashable, Sendable {
  public var guest = GuestEntryState()
  public var rsp: UInt64?
  public var cr2: UInt64?
  /// CPL as the VMCB has it.
  public var cpl: Int?
  /// The exit code; all ones for VMEXIT_INVALID.
  public var exitCode: UInt64?
  public var exitInfo1: UInt64?
  public var exitInfo2: UInt64?
  /// Bit 0 nested paging, bit 1 SEV, bit 2 SEV-ES.
  public var nestedControl: UInt64?
  /// Bit 0 LBR virtualization.
  public var virtualExtensions: UInt64?
  private var isStateSaveArea = false

  init() {}

  /// Whether a line begins such a dump.
  static func begins(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    return scanner.skip(past: "VMCB Control Area:")
  }

  /// Takes one more line; false where it is none of a dump.
  mutating func take(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    if scanner.skip(past: "VMCB State Save Area:") {
      isStateSaveArea = true
      return true
    }
    return isStateSaveArea ? takeState(line) : takeControl(line)
  }

  private static func number(after text: StaticString, in line: LogLine) -> UInt64? {
    var scanner = LineScanner(line.bytes)
    guard scanner.skip(past: text) else { return nil }
    scanner.skipBlanks()
    return scanner.prefixedHex()
  }

  private static func decimal(after text: StaticString, in line: LogLine) -> Int? {
    var scanner = LineScanner(line.bytes)
    guard scanner.skip(past: text) else { return nil }
    scanner.skipBlanks()
    return scanner.decimal()
  }

  private mutating func takeControl(_ line: LogLine) -> Bool {
    if let value = Self.decimal(after: "asid:", in: line) {
      guest.asid = UInt32(exactly: value)
    } else if let value = Self.number(after: "exit_code:", in: line) {
      exitCode = value
    } else if let value = Self.number(after: "exit_info1:", in: line) {
      exitInfo1 = value
    } else if let value = Self.number(after: "exit_info2:", in: line) {
      exitInfo2 = value
    } else if let value = Self.number(after: "nested_ctl:", in: line) {
      nestedControl = value
    } else if let value = Self.number(after: "event_inj:", in: line) {
      guest.event = UInt32(truncatingIfNeeded: value)
    } else if let value = Self.number(after: "virt_ext:", in: line) {
      virtualExtensions = value
    } else {
      return Self.hasName(line)
    }
    return true
  }

  /// `tlb_ctl:           0`: a name, a colon and a value.
  private static func hasName(_ line: LogLine) -> Bool {
    guard let colon = line.bytes.lastIndex(of: UInt8(ascii: ":")), colon + 1 < line.bytes.endIndex else { return false }
    var scanner = LineScanner(line.bytes[(colon + 1)...])
    scanner.skipBlanks()
    return scanner.hex() != nil
  }

  private mutating func takeState(_ line: LogLine) -> Bool {
    if takeSegment(line) { return true }
    var isTaken = false
    func take(_ name: StaticString, _ store: (UInt64) -> Void) {
      guard let value = Self.number(after: name, in: line) else { return }
      store(value)
      isTaken = true
    }
    take("efer:") { guest.efer = EFER(rawValue: $0) }
    take("cr0:") { guest.cr0 = CR0(rawValue: $0) }
    take("cr2:") { cr2 = $0 }
    take("cr3:") { guest.cr3 = $0 }
    take("cr4:") { guest.cr4 = CR4(rawValue: $0) }
    take("dr7:") { guest.dr7 = $0 }
    take("rip:") { guest.rip = $0 }
    take("rflags:") { guest.rflags = RFLAGS(rawValue: $0) }
    take("rsp:") { rsp = $0 }
    if let value = Self.decimal(after: "cpl:", in: line) {
      cpl = value
      isTaken = true
    }
    return isTaken || Self.hasName(line)
  }

  /// `cs:   s: f000 a: 009b l: 0000ffff b: 00000000ffff0000`.
  private mutating func takeSegment(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    guard scanner.skip(past: " s: ") else { return false }
    guard let selector = scanner.hex(), scanner.skip(" a: "), let attributes = scanner.hex(), scanner.skip(" l: "),
      let limit = scanner.hex(), scanner.skip(" b: "), let base = scanner.hex()
    else { return true }
    let segment = Segment(
      selector: SegmentSelector(rawValue: UInt16(truncatingIfNeeded: selector.value)), base: base.value,
      limit: UInt32(truncatingIfNeeded: limit.value),
      attributes: SegmentAttributes(vmcbAttributes: UInt32(truncatingIfNeeded: attributes.value)))
    for name in EntrySegment.allCases where Self.has(name, line) { guest.segments[name] = segment }
    let table = EntryTable(base: base.value, limit: UInt32(truncatingIfNeeded: limit.value))
    if Self.has("gdtr:", line) { guest.gdtr = table }
    if Self.has("idtr:", line) { guest.idtr = table }
    return true
  }

  private static func has(_ text: StaticString, _ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    return scanner.skip(past: text)
  }

  /// Whether the line is of this segment: `tr:` ends the names of the tables and of LDTR too.
  private static func has(_ name: EntrySegment, _ line: LogLine) -> Bool {
    switch name {
    case .es: has("es:", line)
    case .cs: has("cs:", line)
    case .ss: has("ss:", line)
    case .ds: has("ds:", line)
    case .fs: has("fs:", line)
    case .gs: has("gs:", line)
    case .ldtr: has("ldtr:", line)
    case .tr: has("tr:", line) && !has("dtr:", line)
    }
  }
}
