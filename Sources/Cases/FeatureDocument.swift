import X86

/// One feature word of a ``FeatureReport`` in JSON: `{"word": "CPUID.07H.0H.EBX", "known": "0xffffffff", "on": "0x9c47ab"}`.
struct FeatureWordDocument: Codable {
  /// `CPUID.LEAF.SUBLEAF.REGISTER` or `MSR.INDEX`, numbers in hexadecimal.
  var word: String
  /// The bits of which the source tells, and those of them that are set.
  var known: String
  var on: String
}

extension [FeatureWordDocument] {
  init(_ report: FeatureReport) {
    self = report.known.nonemptyWords.map { word in
      FeatureWordDocument(
        word: word.key, known: report.known[word].hexadecimal, on: report.features[word].hexadecimal)
    }.sorted { $0.word < $1.word }
  }

  init(_ features: FeatureSet) {
    self.init(FeatureReport(features: features, known: features))
  }

  /// The report; an error where a word or a number is none.
  var report: FeatureReport {
    get throws(CaseError) {
      var report = FeatureReport()
      for entry in self {
        guard let word = FeatureWord(key: entry.word), let known = UInt64(hexadecimal: entry.known),
          let on = UInt64(hexadecimal: entry.on), word.width == 64 || known | on <= UInt64(UInt32.max)
        else {
          throw .malformed(
            file: CaseFormat.File.document.rawValue, reason: "no feature word: \(entry.word) \(entry.known) \(entry.on)"
          )
        }
        report.known[word] = known
        report.features[word] = on
      }
      return report
    }
  }
}

extension FeatureWord {
  fileprivate var key: String {
    switch self {
    case .cpuid(let leaf, let subleaf, let register):
      "CPUID.\(leaf.hexadecimal).\(subleaf.hexadecimal).\(register.name)"
    case .msr(let index): "MSR.\(index.hexadecimal)"
    }
  }

  fileprivate init?(key: String) {
    let parts = key.split(separator: ".").map(String.init)
    switch (parts.first, parts.count) {
    case ("CPUID", 4):
      let registers: [CPUIDRegister] = [.eax, .ebx, .ecx, .edx]
      guard let leaf = UInt64(hexadecimal: parts[1]).flatMap(UInt32.init(exactly:)),
        let subleaf = UInt64(hexadecimal: parts[2]).flatMap(UInt32.init(exactly:)),
        let register = registers.first(where: { $0.name == parts[3] })
      else { return nil }
      self = .cpuid(leaf: leaf, subleaf: subleaf, register: register)
    case ("MSR", 2):
      guard let index = UInt64(hexadecimal: parts[1]).flatMap(UInt32.init(exactly:)) else { return nil }
      self = .msr(index)
    default: return nil
    }
  }
}

extension UInt64 {
  /// Reads what `hexadecimal` gives.
  fileprivate init?(hexadecimal text: String) {
    guard text.hasPrefix("0x") else { return nil }
    self.init(text.dropFirst(2), radix: 16)
  }
}
