import Traces

extension KVMExit {
  /// The fields of kvm_exit and kvm_nested_vmexit; the name stands for the number in texts.
  static let fields = [
    "exit_reason|exit_code", "guest_rip|rip", "isa", "info1|exit_info1", "info2|exit_info2",
    "intr_info|exit_int_info", "error_code|exit_int_info_err", "vcpu_id", ".name",
  ]

  init(_ f: KVMFieldValues) throws(KVMDecodingError) {
    let rip = try f.required(1)
    let vcpu = f.integer(7)
    let interruptionInfo = f[5].map { UInt32(truncatingIfNeeded: $0) }
    let errorCode = f[6].map { UInt32(truncatingIfNeeded: $0) }
    let (vendor, name, reason) = try Self.reason(f)
    self.init(
      vendor: vendor, reasonName: name, reason: reason, rip: rip, vcpu: vcpu, info1: f[3], info2: f[4],
      interruptionInfo: interruptionInfo, errorCode: errorCode)
  }

  /// The vendor, the name and the number of the reason, by number or by name.
  static func reason(_ f: KVMFieldValues) throws(KVMDecodingError) -> (Vendor?, String, UInt32?) {
    if let bytes = f.bytes { return reason(text: String(decoding: bytes, as: UTF8.self)) }
    let number = try f.required(0, as: UInt32.self)
    let vendor = vendor(isa: f[2])
    return (vendor, name(of: number, vendor), number)
  }

  /// KVM_ISA_* of trace.h; 3 is kvm_pvm's.
  private static func vendor(isa: UInt64?) -> Vendor? {
    switch isa {
    case 1: .vmx
    case 2: .svm
    case 3: .pvm
    default: nil
    }
  }

  private static func name(of reason: UInt32, _ vendor: Vendor?) -> String {
    let name =
      switch vendor {
      case .vmx: VMXExitReason.name(of: reason)
      case .svm: SVMExitCode.name(of: reason)
      case .pvm: PVMExitReason.name(of: reason)
      case nil: nil as String?
      }
    return name ?? "0x" + String(reason, radix: 16)
  }

  /// What a printed reason says: `EPT_MISCONFIG`, `INVALID_STATE FAILED_VMENTRY`, `npf`, `EXIT_NPF`, `UNKNOWN (78)`.
  ///
  /// AMD and kvm_pvm share the names of exceptions (`PF excp`) but not their numbers: such a name leaves the vendor open.
  private static func reason(text: String) -> (Vendor?, String, UInt32?) {
    if text.hasPrefix("0x"), let number = UInt32(text.dropFirst(2), radix: 16) { return (nil, text, number) }
    if text.hasPrefix("UNKNOWN ("), text.hasSuffix(")"), let number = UInt32(text.dropFirst(9).dropLast()) {
      return (nil, "0x" + String(number, radix: 16), number)
    }
    if PVMExitReason.isOwn(name: text) { return (.pvm, text, PVMExitReason.reason(named: text)) }
    let hasFailedEntry = text.hasSuffix(" FAILED_VMENTRY")
    let base = hasFailedEntry ? String(text.dropLast(15)) : text
    if let number = VMXExitReason.reason(named: base) {
      return (
        .vmx, VMXExitReason.name(of: number) ?? base, hasFailedEntry ? number | VMXExitReason.failedEntry : number
      )
    }
    if hasFailedEntry, base.hasPrefix("0x"), let number = UInt32(base.dropFirst(2), radix: 16) {
      return (.vmx, base, number | VMXExitReason.failedEntry)
    }
    guard let code = SVMExitCode.code(named: text) else { return (nil, text, nil) }
    if PVMExitReason.reason(named: text) != nil { return (nil, text, nil) }
    return (.svm, SVMExitCode.name(of: code) ?? text, code)
  }

  /// Whether the entry failed that this exit reports (Intel; AMD: VMEXIT_INVALID).
  public var isFailedEntry: Bool {
    guard let reason else { return false }
    switch vendor {
    case .vmx: return reason & VMXExitReason.failedEntry != 0
    case .svm: return reason == SVMExitCode.invalidGuestState
    case .pvm, nil: return reasonName == "FAILED_VMENTRY"
    }
  }

  /// The event whose delivery the exit interrupted: Intel's IDT-vectoring information, AMD's EXITINTINFO (vmx.c:
  /// vmx_get_exit_info, svm.c: svm_get_exit_info, Linux 6.19). Nil if there was none or the trace does not show it.
  public var interruptedDelivery: EventInformation? {
    let word =
      switch vendor {
      case .vmx: info2.map { UInt32(truncatingIfNeeded: $0) }
      case .svm: interruptionInfo
      case .pvm, nil: nil as UInt32?
      }
    guard let information = word.map(EventInformation.init(rawValue:)), information.isValid else { return nil }
    return information
  }

  /// Reads the forms of all kernels, and of trace-cmd's kvm plugin:
  ///
  ///     vcpu 0 reason npf rip 0x1 info1 0x2 info2 0x3 intr_info 0x4 error_code 0x5 requests 0x6    6.14
  ///     reason EPT_MISCONFIG rip 0x133025 info 0 0                                                 5.4, and the plugin
  ///     rip: 0x1 reason: npf ext_inf1: 0x2 ext_inf2: 0x3 ext_int: 0x4 ext_int_err: 0x5       4.x, nested exits
  ///     rip 1 reason npf info1 2 info2 3 int_info 4 int_info_err 5                           the plugin, likewise
  ///
  /// A label this does not know, of a later kernel, is passed over with its value.
  static func readText(_ text: Span<UInt8>) -> KVMFieldValues? {
    guard let values = readFields(text), values[1] != nil else { return nil }
    return values
  }

  /// Reads the same forms, and those of kvm_nested_vmexit_inject, which are the last two without the RIP.
  static func readFields(_ text: Span<UInt8>) -> KVMFieldValues? {
    var values = KVMFieldValues()
    var cursor = TextCursor(text)
    if cursor.skip("vcpu ") { values[7] = cursor.takeDecimal() }
    cursor.skipBlanks()
    if cursor.skipLabel("rip") {
      guard let rip = cursor.takeHexadecimal() else { return nil }
      values[1] = rip
      cursor.skipBlanks()
    }
    guard cursor.skipLabel("reason") else { return nil }
    let nameStart = cursor.offset
    guard let nameEnd = endOfName(in: text, from: nameStart) else { return nil }
    values.bytes = Array(text.extracting(nameStart..<nameEnd).trimmed.string.utf8)
    cursor.move(to: nameEnd)
    var isComplete = false
    while true {
      cursor.skipBlanks()
      let label = cursor.takeWord()
      if label.isEmpty { break }
      cursor.skipBlanks()
      guard let value = cursor.takeHexadecimal() else { return nil }
      if label.equals("info") {
        cursor.skipBlanks()
        guard let second = cursor.takeHexadecimal() else { return nil }
        values[3] = value
        values[4] = second
        isComplete = true
      } else if let field = field(labelled: label) {
        values[field] = value
      }
      guard cursor.next?.isBlank ?? true else { return nil }
    }
    // Every kernel since 2.6.38 prints the information fields, and those that print two labels for them the error code
    // too: without it the line was cut.
    return isComplete || values[4] != nil && values[6] != nil ? values : nil
  }

  /// Where the name of the reason ends, which may hold blanks.
  private static func endOfName(in text: Span<UInt8>, from start: Int) -> Int? {
    for label in [" rip ", " info1 ", " ext_inf1: "] {
      if let end = text.firstIndex(of: label, from: start) { return end }
    }
    return nil
  }

  private static func field(labelled label: Span<UInt8>) -> Int? {
    if label.equals("rip") { return 1 }
    if label.equals("info1") || label.equals("ext_inf1:") { return 3 }
    if label.equals("info2") || label.equals("ext_inf2:") { return 4 }
    if label.equals("intr_info") || label.equals("int_info") || label.equals("ext_int:") { return 5 }
    if label.equals("error_code") || label.equals("int_info_err") || label.equals("ext_int_err:") { return 6 }
    return nil
  }
}

extension TextCursor {
  /// Reads over this word, a colon that may follow it, and blanks.
  @_lifetime(self: copy self)
  fileprivate mutating func skipLabel(_ label: String) -> Bool {
    let start = offset
    guard skip(label) else { return false }
    guard skip(UInt8(ascii: ":")) || next?.isBlank ?? false else {
      move(to: start)
      return false
    }
    skipBlanks()
    return true
  }
}

extension KVMExit {
  /// Takes this vendor for an exit whose text left it open.
  mutating func settle(_ vendor: Vendor) {
    self.vendor = vendor
    let number =
      switch vendor {
      case .vmx: VMXExitReason.reason(named: reasonName)
      case .svm: SVMExitCode.code(named: reasonName)
      case .pvm: PVMExitReason.reason(named: reasonName)
      }
    if reason == nil { reason = number }
  }
}
