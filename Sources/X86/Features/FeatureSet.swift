/// Feature bits, by word.
public struct FeatureSet: Hashable, Sendable {
  /// The words with a bit set; a word that is not there has none.
  private var words: [FeatureWord: UInt64] = [:]

  public init() {}

  public init(_ words: [FeatureWord: UInt64]) {
    self.words = words.filter { $0.value != 0 }
  }

  public init(_ bits: some Sequence<FeatureBit>) {
    for bit in bits { self[bit] = true }
  }

  /// The bits of one word.
  public subscript(word: FeatureWord) -> UInt64 {
    get { words[word] ?? 0 }
    set { words[word] = newValue == 0 ? nil : newValue }
  }

  public subscript(bit: FeatureBit) -> Bool {
    get { self[bit.word] & bit.mask != 0 }
    set { self[bit.word] = newValue ? self[bit.word] | bit.mask : self[bit.word] & ~bit.mask }
  }

  public subscript(feature: ProcessorFeature) -> Bool {
    get { self[feature.bit] }
    set { self[feature.bit] = newValue }
  }

  public var isEmpty: Bool { words.isEmpty }

  /// The words that have a bit set, in no order.
  public var nonemptyWords: [FeatureWord] { Array(words.keys) }

  /// The bits, word by word in no order, and those of a word from the lowest.
  public var bits: [FeatureBit] {
    words.flatMap { word, value in (0..<word.width).map { FeatureBit(word, $0) }.filter { value & $0.mask != 0 } }
  }

  /// The features that the table knows, in its order. Bits that it does not know are not among them.
  public var features: [ProcessorFeature] { ProcessorFeature.table.filter { self[$0] } }

  public func union(_ other: Self) -> Self { combined(with: other, |) }

  public func intersection(_ other: Self) -> Self { combined(with: other, &) }

  public func subtracting(_ other: Self) -> Self { combined(with: other) { $0 & ~$1 } }

  public func symmetricDifference(_ other: Self) -> Self { combined(with: other, ^) }

  private func combined(with other: Self, _ operation: (UInt64, UInt64) -> UInt64) -> Self {
    var result = self
    for word in Set(words.keys).union(other.words.keys) { result[word] = operation(self[word], other[word]) }
    return result
  }
}

extension FeatureSet: ExpressibleByDictionaryLiteral {
  /// Of a word that stands there twice, the last value counts.
  public init(dictionaryLiteral elements: (FeatureWord, UInt64)...) {
    for (word, value) in elements { self[word] = value }
  }
}
