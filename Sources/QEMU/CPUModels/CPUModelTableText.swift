import X86

// The form in which a table of CPU models is shipped and cached. It is text that a person can read:
//
//   qemu 7.2.22
//   known 1.edx:ffbffbff 1.ecx:…
//   tcg 1.edx:…
//   kvm+ x2apic kvmclock …
//   kvm- monitor svm …
//   tcg- vme
//   Haswell = Haswell-v1
//   Haswell-v1 GenuineIntel 6/60/4 d 80000008
//     1.edx:078bfbff 1.ecx:f7fa3223 …
//   Haswell-v2 GenuineIntel 6/60/4 d 80000008 from Haswell-v1 -hle -rtm
//
// A word is LEAF.REGISTER, LEAF.SUBLEAF.REGISTER or msr.INDEX, all hexadecimal. A line that begins with a blank goes on
// with the one before. `deprecated` and `phys-bits=N` may stand after a model's levels.

/// Why a text is no table of CPU models.
public struct CPUModelTableError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The number of the line, from 1.
  public var line: Int
  public var reason: String

  public var description: String { "line \(line): \(reason)" }
}

extension CPUModelTable {
  /// Reads a table from the text that `text` gives.
  public init(_ text: String) throws(CPUModelTableError) {
    var parser = CPUModelTableParser()
    for (number, words) in logicalLines(of: text) { try parser.take(words, line: number) }
    self = try parser.table()
  }

  /// The table as text, from which ``init(_:)`` makes it again.
  public var text: String {
    var lines = ["qemu \(version)"]
    lines += wrapped("known", wordTexts(of: knownFeatures))
    lines += wrapped("tcg", wordTexts(of: tcgFeatures))
    if let kvmDefaults {
      lines += wrapped("kvm+", names(of: kvmDefaults.on))
      lines += wrapped("kvm-", names(of: kvmDefaults.off))
    }
    lines += wrapped("tcg-", names(of: tcgDefaults.off))
    lines += aliases.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }
    for model in models.values.sorted(by: precedes) { lines += lineTexts(of: model) }
    return lines.joined(separator: "\n") + "\n"
  }

  private func precedes(_ a: CPUModel, _ b: CPUModel) -> Bool {
    (a.family, a.version ?? 0) < (b.family, b.version ?? 0)
  }

  private func lineTexts(of model: CPUModel) -> [String] {
    var head = [
      model.name, model.vendor.isEmpty ? "-" : model.vendor,
      "\(model.signature.family)/\(model.signature.model)/\(model.signature.stepping)",
      String(model.level, radix: 16), String(model.extendedLevel, radix: 16),
    ]
    if model.physicalAddressBits != 0 { head.append("phys-bits=\(model.physicalAddressBits)") }
    if model.isDeprecated { head.append("deprecated") }
    guard let base = versions(of: model.family).first, base.name != model.name else {
      let words = wordTexts(of: model.features)
      return [head.joined(separator: " ")] + (words.isEmpty ? [] : wrapped("", words))
    }
    let added = names(of: model.features.subtracting(base.features)).map { "+\($0)" }
    let removed = names(of: base.features.subtracting(model.features)).map { "-\($0)" }
    return wrapped((head + ["from", base.name]).joined(separator: " "), added + removed)
  }

  private func names(of features: FeatureSet) -> [String] {
    var names: [String] = []
    for name in features.features.compactMap(\.qemuName) where !names.contains(name) { names.append(name) }
    return names
  }
}

private func wrapped(_ head: String, _ words: [String]) -> [String] {
  var lines: [String] = []
  var line = head.isEmpty ? " " : head
  for word in words {
    if line.count + 1 + word.count > 112 {
      lines.append(line)
      line = " "
    }
    line += " " + word
  }
  return lines + [line]
}

private func wordTexts(of features: FeatureSet) -> [String] {
  features.nonemptyWords.sorted { $0.order < $1.order }.map { "\($0.text):\(String(features[$0], radix: 16))" }
}

/// Each line with those that go on with it, as words and with its number.
private func logicalLines(of text: String) -> [(Int, [Substring])] {
  var lines: [(Int, [Substring])] = []
  for (index, line) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
    let words = line.split(separator: UInt8(ascii: " ")).map(Substring.init)
    if words.isEmpty { continue }
    if line.first == UInt8(ascii: " "), !lines.isEmpty {
      lines[lines.count - 1].1 += words
    } else {
      lines.append((index + 1, words))
    }
  }
  return lines
}

extension FeatureWord {
  /// `1.edx`, `7.1.eax` or `msr.10a`.
  var text: String {
    switch self {
    case .cpuid(let leaf, 0, let register): "\(String(leaf, radix: 16)).\(register)"
    case .cpuid(let leaf, let subleaf, let register):
      "\(String(leaf, radix: 16)).\(String(subleaf, radix: 16)).\(register)"
    case .msr(let index): "msr.\(String(index, radix: 16))"
    }
  }

  init?(text: Substring) {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Substring.init)
    if parts.count == 2, parts[0] == "msr", let index = UInt32(parts[1], radix: 16) {
      self = .msr(index)
      return
    }
    guard parts.count == 2 || parts.count == 3, let leaf = UInt32(parts[0], radix: 16),
      let subleaf = parts.count == 3 ? UInt32(parts[1], radix: 16) : 0,
      let register = CPUIDRegister(rawValue: String(parts[parts.count - 1]))
    else { return nil }
    self = .cpuid(leaf, subleaf, register)
  }

  /// Leaves before MSRs, each in the order of their numbers.
  fileprivate var order: UInt64 {
    switch self {
    case .cpuid(let leaf, let subleaf, let register):
      UInt64(leaf) << 16 | UInt64(subleaf & 0xFFF) << 4 | UInt64(CPUIDRegister.allCases.firstIndex(of: register) ?? 0)
    case .msr(let index): 1 << 63 | UInt64(index)
    }
  }
}

private struct CPUModelTableParser {
  private var version: String?
  private var known = FeatureSet()
  private var tcg = FeatureSet()
  private var kvmDefaults: CPUModelTable.Defaults?
  private var tcgDefaults = CPUModelTable.Defaults()
  private var models: [String: CPUModel] = [:]
  private var aliases: [String: String] = [:]

  mutating func take(_ words: [Substring], line: Int) throws(CPUModelTableError) {
    let rest = words.dropFirst()
    switch words[0] {
    case "qemu": version = rest.first.map(String.init)
    case "known": known = try featureWords(rest, line)
    case "tcg": tcg = try featureWords(rest, line)
    case "kvm+": kvmDefaults = CPUModelTable.Defaults(on: try bits(rest, line), off: kvmDefaults?.off ?? FeatureSet())
    case "kvm-": kvmDefaults = CPUModelTable.Defaults(on: kvmDefaults?.on ?? FeatureSet(), off: try bits(rest, line))
    case "tcg-": tcgDefaults.off = try bits(rest, line)
    default:
      if words.count == 3, words[1] == "=" {
        aliases[String(words[0])] = String(words[2])
      } else {
        let model = try model(words, line)
        models[model.name] = model
      }
    }
  }

  func table() throws(CPUModelTableError) -> CPUModelTable {
    guard let version else { throw CPUModelTableError(line: 1, reason: "no line tells the version of QEMU") }
    return CPUModelTable(
      version: version, models: Array(models.values), aliases: aliases, knownFeatures: known, tcgFeatures: tcg,
      kvmDefaults: kvmDefaults, tcgDefaults: tcgDefaults)
  }

  private func model(_ words: [Substring], _ line: Int) throws(CPUModelTableError) -> CPUModel {
    guard words.count >= 5, let signature = signature(words[2]), let level = UInt32(words[3], radix: 16),
      let extendedLevel = UInt32(words[4], radix: 16)
    else { throw CPUModelTableError(line: line, reason: "no model, with vendor, family/model/stepping and levels") }
    var model = CPUModel(
      name: String(words[0]), vendor: words[1] == "-" ? "" : String(words[1]), signature: signature, level: level,
      extendedLevel: extendedLevel, features: FeatureSet())
    var rest = words.dropFirst(5)
    while let word = rest.popFirst() {
      switch word {
      case "deprecated": model.isDeprecated = true
      case "from":
        guard let base = rest.popFirst().flatMap({ models[String($0)] }) else {
          throw CPUModelTableError(line: line, reason: "from a model that no line before tells of")
        }
        model.features = base.features
      default: try change(&model, by: word, line)
      }
    }
    return model
  }

  private func change(_ model: inout CPUModel, by word: Substring, _ line: Int) throws(CPUModelTableError) {
    if word.hasPrefix("phys-bits=") {
      model.physicalAddressBits = Int(word.dropFirst(10)).map { max(0, min($0, 64)) } ?? 0
    } else if word.hasPrefix("+") || word.hasPrefix("-") {
      let bits = try bits([word.dropFirst()], line)
      model.features = word.hasPrefix("+") ? model.features.union(bits) : model.features.subtracting(bits)
    } else {
      model.features = model.features.union(try featureWords([word], line))
    }
  }

  private func signature(_ text: Substring) -> ProcessorSignature? {
    let numbers = text.split(separator: "/").map { UInt32($0) }
    guard numbers.count == 3, let family = numbers[0], let model = numbers[1], let stepping = numbers[2] else {
      return nil
    }
    return ProcessorSignature(family: family, model: model, stepping: stepping)
  }

  private func featureWords(_ words: some Sequence<Substring>, _ line: Int) throws(CPUModelTableError) -> FeatureSet {
    var features = FeatureSet()
    for word in words {
      let parts = word.utf8.split(separator: UInt8(ascii: ":")).map(Substring.init)
      guard parts.count == 2, let place = FeatureWord(text: parts[0]), let value = UInt64(parts[1], radix: 16) else {
        throw CPUModelTableError(line: line, reason: "\(word) is no feature word")
      }
      features[place] = value
    }
    return features
  }

  private func bits(_ names: some Sequence<Substring>, _ line: Int) throws(CPUModelTableError) -> FeatureSet {
    var features = FeatureSet()
    for name in names {
      let bits = CPUFeatureName(String(name)).bits
      if bits.isEmpty { throw CPUModelTableError(line: line, reason: "\(name) is no feature") }
      for bit in bits { features[bit] = true }
    }
    return features
  }
}
