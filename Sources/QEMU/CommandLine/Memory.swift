extension QEMUCommandLine {
  /// The guest's RAM in bytes at the start; nil where it cannot be told (a size that QEMU would refuse, a size that a
  /// `-readconfig` file may hold, a program that is not QEMU for x86).
  ///
  /// `softmmu/vl.c: parse_memory_options`, 7.2: a number without suffix counts MiB, and 0 is the machine's default.
  public var memorySize: UInt64? {
    let sizes = options(named: "m").compactMap(\.value).compactMap { OptionProperties($0, impliedKey: "size")["size"] }
    if let size = sizes.last {
      guard let bytes = memorySizeInBytes(size, unitWithoutSuffix: 1 << 20) else { return nil }
      return bytes == 0 ? defaultMemorySize : alignedToPages(bytes)
    }
    guard !has("readconfig") else { return nil }
    guard let backend = machineProperty("memory-backend") else { return defaultMemorySize }
    return sizeOfMemoryBackend(backend)
  }

  /// 128 MiB for every x86 machine (`hw/core/machine.c: machine_class_init`, 7.2).
  private var defaultMemorySize: UInt64? { isForX86 ? 128 << 20 : nil }

  /// Whether the program's name says that it is QEMU for x86.
  public var isForX86: Bool {
    let name = programName
    return name.hasPrefix("qemu-system-x86_64") || name.hasPrefix("qemu-system-i386") || name.hasSuffix("kvm")
      || name == "qemu"
  }

  /// RAM sizes are rounded up to 8 KiB.
  private func alignedToPages(_ bytes: UInt64) -> UInt64? {
    let (sum, overflow) = bytes.addingReportingOverflow(8191)
    return overflow ? nil : sum & ~8191
  }

  /// A backend's own `size` counts bytes where it has no suffix.
  private func sizeOfMemoryBackend(_ id: String) -> UInt64? {
    for option in options(named: "object") {
      guard let value = option.value else { continue }
      let properties = OptionProperties(value, impliedKey: "qom-type")
      guard properties["id"] == id else { continue }
      return properties["size"].flatMap { memorySizeInBytes($0, unitWithoutSuffix: 1) }
    }
    return nil
  }

  /// The options that already say where the guest's RAM comes from.
  ///
  /// With any of them a further `-machine memory-backend=` is refused or changes the guest
  /// (`softmmu/vl.c: qemu_create_machine`; `hw/core/numa.c: numa_complete_configuration`, 7.2).
  public var memoryBackendOptions: [Option] {
    options.filter { option in
      switch option.name {
      case "mem-path", "numa": true
      case "machine", "M":
        option.value.map { OptionProperties($0, impliedKey: "type")["memory-backend"] != nil } ?? false
      default: false
      }
    }
  }
}

/// A size as QEMU writes it (`util/cutils.c: do_strtosz`, 7.2): decimal with an optional fraction, or hexadecimal,
/// and one of the suffixes B, K, M, G, T, P, E in either case. Nil for anything else and for what does not fit.
func memorySizeInBytes(_ text: String, unitWithoutSuffix: UInt64) -> UInt64? {
  if text.hasPrefix("0x") || text.hasPrefix("0X") {
    guard let number = UInt64(text.dropFirst(2), radix: 16) else { return nil }
    return product(number, unitWithoutSuffix)
  }
  var digits = text[...]
  var unit = unitWithoutSuffix
  if let last = text.last, let suffixUnit = unitOfSuffix(last) {
    digits = digits.dropLast()
    unit = suffixUnit
  }
  let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
  guard let whole = parts.first, let number = unsigned(whole), let bytes = product(number, unit) else { return nil }
  guard parts.count == 2 else { return bytes }
  guard let fraction = fractionOfUnit(parts[1], unit: unit) else { return nil }
  let (sum, overflow) = bytes.addingReportingOverflow(fraction)
  return overflow ? nil : sum
}

private func product(_ number: UInt64, _ unit: UInt64) -> UInt64? {
  let (bytes, overflow) = number.multipliedReportingOverflow(by: unit)
  return overflow ? nil : bytes
}

private func unitOfSuffix(_ suffix: Character) -> UInt64? {
  switch suffix {
  case "b", "B": 1
  case "k", "K": 1 << 10
  case "m", "M": 1 << 20
  case "g", "G": 1 << 30
  case "t", "T": 1 << 40
  case "p", "P": 1 << 50
  case "e", "E": 1 << 60
  default: nil
  }
}

/// Decimal digits only: no sign.
private func unsigned(_ digits: Substring) -> UInt64? {
  guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
  return UInt64(digits)
}

/// The part of a unit that the digits after the point stand for.
private func fractionOfUnit(_ digits: Substring, unit: UInt64) -> UInt64? {
  guard !digits.isEmpty else { return 0 }
  guard digits.utf8.count <= 15, let numerator = unsigned(digits) else { return nil }
  let denominator = digits.utf8.reduce(UInt64(1)) { power, _ in power * 10 }
  let (high, low) = numerator.multipliedFullWidth(by: unit)
  return denominator.dividingFullWidth((high, low)).quotient
}
