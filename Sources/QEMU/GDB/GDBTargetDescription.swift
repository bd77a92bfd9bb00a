/// The registers that a GDB stub has: their names, numbers and sizes, from its `target.xml` (GDB manual, G "Target
/// Descriptions").
public struct GDBTargetDescription: Hashable, Sendable {
  public struct Register: Hashable, Sendable {
    public var name: String
    /// As `p` and `P` number it.
    public var number: Int
    public var bitSize: Int
  }

  /// By ascending number, which is their order in an answer to `g`.
  public let registers: [Register]
  private let numbers: [String: Int]

  /// How many files a description may consist of, and how many registers it may have. QEMU's for x86-64 has 2 and about
  /// 70.
  public static let (maximumFiles, maximumRegisters) = (16, 4096)

  /// Reads `target.xml` and what it includes, in place, as far as registers are told of.
  ///
  /// - Parameter read: Gives a file by its name.
  public init(
    reading read: (String) throws(GDBTargetDescriptionError) -> [UInt8]
  ) throws(GDBTargetDescriptionError) {
    var reader = Reader()
    try reader.read("target.xml", read)
    registers = reader.registers.sorted { $0.number < $1.number }
    // A name or a number that comes twice leaves the order of `g` open.
    for (one, next) in zip(registers, registers.dropFirst()) where one.number == next.number {
      throw .repeatedRegister(next.name)
    }
    var indices: [String: Int] = [:]
    for (index, register) in registers.enumerated() where indices.updateValue(index, forKey: register.name) != nil {
      throw .repeatedRegister(register.name)
    }
    numbers = indices
  }

  public subscript(name: String) -> Register? { numbers[name].map { registers[$0] } }

  /// The value of a register in an answer to `g`; nil for one that the stub does not have, does not show (`xx`), or that
  /// is longer than 64 bits.
  public func value(of name: String, in reply: GDBReply) -> UInt64? {
    guard let register = self[name] else { return nil }
    var place = 0
    for other in registers where other.number < register.number { place += other.digitCount }
    let digits = reply.payload.dropFirst(place).prefix(register.digitCount)
    guard digits.count == register.digitCount else { return nil }
    return GDBReply(Array(digits)).registerValue
  }

  private struct Reader {
    var registers: [Register] = []
    private var nextNumber = 0
    private var fileCount = 0

    mutating func read(
      _ file: String, _ read: (String) throws(GDBTargetDescriptionError) -> [UInt8]
    ) throws(GDBTargetDescriptionError) {
      fileCount += 1
      guard fileCount <= GDBTargetDescription.maximumFiles else { throw .tooManyFiles }
      var tags = XMLTags(try read(file))
      while let tag = try tags.next() {
        switch tag.name {
        case "reg": try add(tag)
        case "xi:include":
          guard let included = tag.attributes["href"] else { throw .badRegister(offset: tag.offset) }
          try self.read(included, read)
        default: break
        }
      }
    }

    /// A register without a number has that after the one before it.
    private mutating func add(_ tag: XMLTags.Tag) throws(GDBTargetDescriptionError) {
      let number = tag.attributes["regnum"].map { Int($0) } ?? nextNumber
      guard let name = tag.attributes["name"], let size = tag.attributes["bitsize"].flatMap({ Int($0) }),
        let number, (1...65536).contains(size), (0..<Int(Int32.max)).contains(number)
      else { throw .badRegister(offset: tag.offset) }
      guard registers.count < GDBTargetDescription.maximumRegisters else { throw .tooManyRegisters }
      registers.append(Register(name: name, number: number, bitSize: size))
      nextNumber = number + 1
    }
  }
}

extension GDBTargetDescription.Register {
  fileprivate var digitCount: Int { (bitSize + 7) / 8 * 2 }

  /// A value as `P` takes it: in the guest's byte order, cut to the register's size.
  public func bytes(of value: UInt64) -> [UInt8] {
    (0..<(bitSize + 7) / 8).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) : 0 }
  }
}

extension GDBReply {
  /// The number in an answer to `p`, in the guest's byte order; nil where there is none or it is longer than 64 bits.
  public var registerValue: UInt64? {
    guard let bytes = try? bytes, !bytes.isEmpty, bytes.count <= 8 else { return nil }
    return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// Why a description of registers cannot be used.
public enum GDBTargetDescriptionError: Error, Hashable, Sendable {
  case tooManyFiles
  case tooManyRegisters
  /// A register or an inclusion that lacks what it must have, or has a number or size out of bounds, at this offset in
  /// its file.
  case badRegister(offset: Int)
  /// Something is begun at this offset and not ended.
  case unclosed(offset: Int)
  case repeatedRegister(String)
  /// The stub does not give a file.
  case unreadableFile(String)
}

/// The tags of an XML text, one after the other, with their attributes; what is between them is passed over.
///
/// Entities are left as they are: names of registers and files need none.
struct XMLTags {
  struct Tag: Hashable {
    var name: String
    var attributes: [String: String]
    /// Where its `<` is.
    var offset: Int
  }

  private let bytes: [UInt8]
  private var place = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The next beginning tag; nil at the end.
  mutating func next() throws(GDBTargetDescriptionError) -> Tag? {
    while let start = bytes[place...].firstIndex(of: UInt8(ascii: "<")) {
      if bytes[start...].starts(with: "<!--".utf8) {
        place = try end(of: "-->", from: start + 4, begunAt: start)
      } else if bytes[start...].starts(with: "<![CDATA[".utf8) {
        place = try end(of: "]]>", from: start + 9, begunAt: start)
      } else {
        let close = try closing(from: start)
        place = close + 1
        if let tag = Tag(bytes[(start + 1)..<close], offset: start) { return tag }
      }
    }
    place = bytes.count
    return nil
  }

  private func end(of mark: String, from first: Int, begunAt start: Int) throws(GDBTargetDescriptionError) -> Int {
    let mark = Array(mark.utf8)
    var here = first
    while here + mark.count <= bytes.count {
      if bytes[here..<here + mark.count].elementsEqual(mark) { return here + mark.count }
      here += 1
    }
    throw .unclosed(offset: start)
  }

  /// Where the `>` is that ends a tag; one in quotes does not.
  private func closing(from start: Int) throws(GDBTargetDescriptionError) -> Int {
    var quote: UInt8?
    for here in start..<bytes.count {
      let byte = bytes[here]
      if let open = quote {
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        quote = byte
      } else if byte == UInt8(ascii: ">") {
        return here
      }
    }
    throw .unclosed(offset: start)
  }
}

extension XMLTags.Tag {
  /// Nil for what begins no element: an ending tag, a declaration, an instruction.
  fileprivate init?(_ text: ArraySlice<UInt8>, offset: Int) {
    guard let first = text.first, !"/!?".utf8.contains(first) else { return nil }
    let isBlank: (UInt8) -> Bool = { " \t\r\n/".utf8.contains($0) }
    var rest = text
    let name = rest.prefix { !isBlank($0) }
    rest = rest.dropFirst(name.count)
    var attributes: [String: String] = [:]
    while let equals = rest.firstIndex(of: UInt8(ascii: "=")) {
      let key = rest[..<equals].drop(while: isBlank).prefix { !isBlank($0) }
      rest = rest[(equals + 1)...].drop(while: isBlank)
      guard let quote = rest.first, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"),
        let end = rest.dropFirst().firstIndex(of: quote)
      else { break }
      let value = rest[(rest.startIndex + 1)..<end]
      attributes[String(decoding: key, as: UTF8.self)] = String(decoding: value, as: UTF8.self)
      rest = rest[(end + 1)...]
    }
    self.init(name: String(decoding: name, as: UTF8.self), attributes: attributes, offset: offset)
  }
}
