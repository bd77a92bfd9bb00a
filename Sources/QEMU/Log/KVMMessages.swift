/// `KVM internal error. Suberror: N` and the lines after it (`accel/kvm/kvm-all.c: kvm_handle_internal_error`, 7.2).
public struct KVMInternalError: Hashable, Sendable {
  /// KVM_INTERNAL_ERROR_*: 1 emulation, 2 simultaneous exceptions, 3 an event could not be delivered, 4 an
  /// unexpected VM exit.
  public var suberror: Int
  /// The words of `extra data[i]`, by i.
  public var extraData: [Int: UInt64]
  /// Whether `emulation failure` was printed, as it is for suberror 1.
  public var saysEmulationFailure: Bool

  public init(suberror: Int, extraData: [Int: UInt64] = [:], saysEmulationFailure: Bool = false) {
    self.suberror = suberror
    self.extraData = extraData
    self.saysEmulationFailure = saysEmulationFailure
  }

  /// Takes a line that follows the error; false where it is none of its own.
  ///
  /// New versions print `extra data[0]: 0x0000000000000001`, old ones `extra data[0]: 80000b0e`: both hexadecimal.
  mutating func takeContinuation(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    if scanner.skip(past: "extra data[") {
      guard let index = scanner.decimal(), scanner.skip("]:") else { return false }
      scanner.skipBlanks()
      guard let value = scanner.prefixedHex(), extraData[index] == nil, index < 16 else { return false }
      extraData[index] = value
      return true
    }
    scanner = LineScanner(line.bytes)
    guard !saysEmulationFailure, scanner.skip(past: "emulation failure"), scanner.isAtEnd else { return false }
    saysEmulationFailure = true
    return true
  }
}

/// A feature that was asked for and that the accelerator does not have
/// (`target/i386/cpu.c: mark_unavailable_features`, 7.2).
public struct UnsupportedFeature: Hashable, Sendable {
  /// Who lacks it: `host` under KVM, else `TCG`, `HVF` and so on.
  public var accelerator: String
  /// The register as QEMU writes it: `CPUID.80000001H:EDX`, `CPUID.(EAX=07H,ECX=01H):EAX` or `MSR(10AH)`.
  public var register: String
  /// The feature's name; nil where QEMU has none for the bit.
  public var feature: CPUFeatureName?
  /// The bit in the register.
  public var bit: Int

  public init(accelerator: String, register: String, feature: CPUFeatureName?, bit: Int) {
    self.accelerator = accelerator
    self.register = register
    self.feature = feature
    self.bit = bit
  }

  /// Reads what follows `host doesn't support requested feature: `, such as
  /// `CPUID.80000001H:EDX.pdpe1gb [bit 26]`, `CPUID.01H:ECX.sse4.1 [bit 19]` or `MSR(10AH).rdctl-no [bit 0]`.
  init?(_ text: String, before: ArraySlice<UInt8>) {
    guard let bracket = text.lastIndex(of: "[") else { return nil }
    var scanner = LineScanner(Array(text[bracket...].utf8)[...])
    guard scanner.skip("[bit "), let bit = scanner.decimal(), scanner.skip("]"), bit < 64 else { return nil }
    let name = text[..<bracket].filter { $0 != " " }
    // The first dot after the register is where the feature's name begins; the name may have dots of its own.
    let registerEnd = name.lastIndex(of: ":") ?? name.firstIndex(of: ")") ?? name.startIndex
    let dot = name[registerEnd...].firstIndex(of: ".")
    let accelerator = before.split(separator: UInt8(ascii: " ")).last ?? []
    self.init(
      accelerator: String(decoding: accelerator, as: UTF8.self), register: String(name[..<(dot ?? name.endIndex)]),
      feature: dot.map { CPUFeatureName(String(name[name.index(after: $0)...])) }, bit: bit)
  }
}
