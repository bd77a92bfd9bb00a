import X86

/// What a name before `=` in a register dump announces.
enum DumpItem {
  case number(RegisterDump.Register, Digits, RegisterDump.Width?)
  case segment(RegisterDump.SegmentRegister)
  case descriptorTable(RegisterDump.DescriptorTable)
  case conditionCodeOperation
  case floatingPoint
  case code

  /// How many hexadecimal digits a number has.
  enum Digits {
    case one
    case eight
    case sixteen
    /// Depending on the mode and on QEMU's version.
    case eightOrSixteen

    func allows(_ count: Int) -> Bool {
      switch self {
      case .one: count == 1
      case .eight: count == 8
      case .sixteen: count == 16
      case .eightOrSixteen: count == 8 || count == 16
      }
    }

    var most: Int {
      switch self {
      case .one: 1
      case .eight: 8
      case .sixteen, .eightOrSixteen: 16
      }
    }
  }

  /// The item's place in a dump: QEMU prints them in this order, so that going back means another dump.
  var rank: Int {
    switch self {
    case .number(let register, _, _): Self.rank(of: register)
    case .segment: 2
    case .descriptorTable: 3
    case .conditionCodeOperation: 6
    case .floatingPoint: 8
    case .code: 9
    }
  }

  private static func rank(of register: RegisterDump.Register) -> Int {
    switch register {
    case .rip, .rflags, .cpl, .interruptShadow, .a20, .smm, .halted: 1
    case .cr0, .cr2, .cr3, .cr4: 4
    case .dr0, .dr1, .dr2, .dr3, .dr6, .dr7: 5
    case .conditionCodeSource, .conditionCodeDestination: 6
    case .efer: 7
    default: 0
    }
  }

  /// Whether the item says enough to begin a dump by itself.
  var canBegin: Bool {
    switch self {
    case .number(_, .one, _), .conditionCodeOperation, .floatingPoint: false
    default: true
    }
  }

  /// The item of a name; nil for a name that dumps do not have.
  init?(name: String) {
    if let item = Self.byName[name] {
      self = item
    } else if ["FPR", "XMM", "YMM", "ZMM", "Opmask"].contains(where: name.hasPrefix) {
      self = .floatingPoint
    } else {
      return nil
    }
  }

  private static let byName: [String: DumpItem] = {
    var table: [String: DumpItem] = [
      "CCO": .conditionCodeOperation, "FCW": .floatingPoint, "FSW": .floatingPoint, "FTW": .floatingPoint,
      "ST": .floatingPoint, "MXCSR": .floatingPoint, "Code": .code, "EFL": .number(.rflags, .eight, .bits32),
      "EIP": .number(.rip, .eight, .bits32),
    ]
    for register in RegisterDump.Register.allCases {
      table[register.rawValue] = .number(register, digits(of: register), rank(of: register) == 0 ? .bits64 : nil)
    }
    for register: RegisterDump.Register in [.rax, .rbx, .rcx, .rdx, .rsi, .rdi, .rbp, .rsp] {
      table["E" + register.rawValue.dropFirst()] = .number(register, .eight, .bits32)
    }
    table["RIP"] = .number(.rip, .sixteen, .bits64)
    table["RFL"] = .number(.rflags, .eight, .bits64)
    for segment in RegisterDump.SegmentRegister.allCases { table[segment.rawValue] = .segment(segment) }
    for register in RegisterDump.DescriptorTable.allCases { table[register.rawValue] = .descriptorTable(register) }
    return table
  }()

  private static func digits(of register: RegisterDump.Register) -> Digits {
    switch register {
    case .cpl, .interruptShadow, .a20, .smm, .halted: .one
    case .rflags, .cr0, .cr4: .eight
    case .cr2, .cr3, .dr0, .dr1, .dr2, .dr3, .dr6, .dr7, .efer, .conditionCodeSource, .conditionCodeDestination:
      .eightOrSixteen
    default: .sixteen
    }
  }
}

/// An item's value, read from the text after its `=`.
enum DumpValue {
  case number(UInt64)
  case segment(Segment)
  case descriptorTable(base: UInt64, limit: UInt64)
  case text(String)

  /// How reading a value ended.
  enum Reading {
    case complete(DumpValue)
    /// The text ends inside the value.
    case cutOff
    /// Something else stands there.
    case invalid
  }

  static func read(_ item: DumpItem, _ scanner: inout LineScanner) -> Reading {
    switch item {
    case .number(_, let digits, _): readNumber(digits, &scanner)
    case .segment: readSegment(&scanner)
    case .descriptorTable: readDescriptorTable(&scanner)
    case .conditionCodeOperation, .floatingPoint, .code: .complete(.text(readWord(&scanner)))
    }
  }

  private static func readNumber(_ digits: DumpItem.Digits, _ scanner: inout LineScanner) -> Reading {
    switch field(digits, &scanner) {
    case .success(let value): .complete(.number(value))
    case .failure(let failure): failure.reading
    }
  }

  private static func readSegment(_ scanner: inout LineScanner) -> Reading {
    var values: [UInt64] = []
    for digits in [4, 0, 8, 8] {
      scanner.skipBlanks()
      let result = digits == 0 ? field(.eightOrSixteen, &scanner) : field(exactly: digits, &scanner)
      switch result {
      case .success(let value): values.append(value)
      case .failure(let failure): return failure.reading
      }
    }
    return .complete(
      .segment(
        Segment(
          selector: SegmentSelector(rawValue: UInt16(truncatingIfNeeded: values[0])), base: values[1],
          limit: UInt32(truncatingIfNeeded: values[2]),
          attributes: SegmentAttributes(rawValue: UInt32(truncatingIfNeeded: values[3])))))
  }

  private static func readDescriptorTable(_ scanner: inout LineScanner) -> Reading {
    scanner.skipBlanks()
    switch field(.eightOrSixteen, &scanner) {
    case .failure(let failure): return failure.reading
    case .success(let base):
      scanner.skipBlanks()
      switch field(exactly: 8, &scanner) {
      case .failure(let failure): return failure.reading
      case .success(let limit): return .complete(.descriptorTable(base: base, limit: limit))
      }
    }
  }

  private static func readWord(_ scanner: inout LineScanner) -> String {
    var word: [UInt8] = []
    while let byte = scanner.rest.first, Byte.isWord(byte) {
      word.append(byte)
      scanner.skipByte()
    }
    return String(decoding: word, as: UTF8.self)
  }

  private enum Failure: Error {
    case cutOff
    case invalid

    var reading: Reading { self == .cutOff ? .cutOff : .invalid }
  }

  private static func field(_ digits: DumpItem.Digits, _ scanner: inout LineScanner) -> Result<UInt64, Failure> {
    field(most: digits.most, &scanner) { digits.allows($0) }
  }

  private static func field(exactly count: Int, _ scanner: inout LineScanner) -> Result<UInt64, Failure> {
    field(most: count, &scanner) { $0 == count }
  }

  /// A number of a wanted length that ends with the word.
  private static func field(
    most: Int, _ scanner: inout LineScanner, isAllowed: (Int) -> Bool
  ) -> Result<UInt64, Failure> {
    var copy = scanner
    if copy.isAtEnd { return .failure(.cutOff) }
    guard let number = copy.hex() else { return .failure(.invalid) }
    guard isAllowed(number.digits) else { return .failure(copy.isAtEnd && number.digits < most ? .cutOff : .invalid) }
    if let next = copy.rest.first, Byte.isWord(next) { return .failure(.invalid) }
    scanner = copy
    return .success(number.value)
  }
}
