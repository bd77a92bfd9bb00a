import Investigation
import X86

struct MapHead: Encodable {
  let schema = 1
  let mode, cr3, registers: String
}

struct RangeDocument: Encodable {
  let start, last, physicalStart, memoryType: String
  let size, pageSize: UInt64
  let writable, executable, user, global, selfMap: Bool
  let patIndex, protectionKey: UInt8

  init(_ range: MappedRange, _ memoryTypes: PageAttributeTable) {
    start = range.start.rawValue.hexadecimal
    last = range.last.rawValue.hexadecimal
    physicalStart = range.physicalStart.rawValue.hexadecimal
    memoryType = memoryTypes.memoryType(at: range.attributes.patIndex).description
    size = range.size
    pageSize = range.pageSize
    writable = range.rights.contains(.write)
    executable = range.rights.contains(.execute)
    user = range.rights.contains(.user)
    global = range.attributes.isGlobal
    selfMap = range.isThroughSelfMap
    patIndex = range.attributes.patIndex
    protectionKey = range.attributes.protectionKey
  }
}

extension RangeLine {
  /// The same as ``RangeDocument``, without an encoder's cost.
  mutating func appendJSON(_ range: MappedRange, _ memoryTypes: PageAttributeTable) {
    func text(_ key: StaticString, _ value: UInt64) {
      append(key)
      append("\"0x")
      append(digits: value, count: 1)
      append("\"")
    }
    func number(_ key: StaticString, _ value: UInt64) {
      append(key)
      append(decimal: value)
    }
    func flag(_ key: StaticString, _ value: Bool) {
      append(key)
      append(value ? "true" : "false")
    }
    flag("{\"executable\":", range.rights.contains(.execute))
    flag(",\"global\":", range.attributes.isGlobal)
    text(",\"last\":", range.last.rawValue)
    append(",\"memoryType\":\"")
    append(memoryTypes.memoryType(at: range.attributes.patIndex))
    number("\",\"pageSize\":", range.pageSize)
    number(",\"patIndex\":", UInt64(range.attributes.patIndex))
    text(",\"physicalStart\":", range.physicalStart.rawValue)
    number(",\"protectionKey\":", UInt64(range.attributes.protectionKey))
    flag(",\"selfMap\":", range.isThroughSelfMap)
    number(",\"size\":", range.size)
    text(",\"start\":", range.start.rawValue)
    flag(",\"user\":", range.rights.contains(.user))
    flag(",\"writable\":", range.rights.contains(.write))
    append("}")
  }
}

struct MapTail: Encodable {
  struct Trouble: Encodable {
    let kind, start, words: String
    let size: UInt64
    @Null var entry: String?
    @Null var entryAddress: String?

    init(_ trouble: AddressSpaceTrouble) {
      kind = trouble.kind.name
      start = trouble.start.rawValue.hexadecimal
      words = trouble.words
      size = trouble.size
      entry = trouble.entry?.rawValue.hexadecimal
      entryAddress = trouble.entryAddress?.rawValue.hexadecimal
    }
  }

  let rangeCount, tableCount: Int
  let mappedSize: UInt64
  @Null var incomplete: String?
  let troubleCounts: [String: Int]
  let troubles: [Trouble]

  init(_ survey: AddressSpaceSurvey) {
    rangeCount = survey.rangeCount
    tableCount = survey.tableCount
    mappedSize = survey.mappedSize
    troubleCounts = Dictionary(uniqueKeysWithValues: survey.counts.map { ($0.key.name, $0.value) })
    troubles = AddressSpaceTrouble.Kind.allCases.flatMap { survey.troubles[$0] ?? [] }.map(Trouble.init)
    incomplete = survey.end.words
  }
}
