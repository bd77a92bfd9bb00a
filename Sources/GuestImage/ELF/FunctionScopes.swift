import CElfutils

/// The functions of a compilation unit that have an address: one whose code it is, and those inlined there.
///
/// libdw's own `dwarf_getscopes` finds none of those in a namespace or a module, which have no addresses of their own
/// (0.188, on the C++ and the Swift of the tests' fixtures); and it recurses as deep as the file says.
///
/// It is valid as long as the unit's handle and used under the same lock.
@safe struct FunctionScopes {
  /// DWARF 5, table 7.3.
  private enum Tag: Int32 {
    case classType = 0x02
    case enumerationType = 0x04
    case lexicalBlock = 0x0B
    case structureType = 0x13
    case unionType = 0x17
    case inlinedSubroutine = 0x1D
    case module = 0x1E
    case catchBlock = 0x25
    case subprogram = 0x2E
    case tryBlock = 0x32
    case namespace = 0x39
  }

  /// DWARF 5, table 7.5.
  private enum Attribute: UInt32 {
    case name = 0x03
    case callColumn = 0x57
    case callFile = 0x58
    case callLine = 0x59
    case linkageName = 0x6E
  }

  /// How deep namespaces, modules and types are searched, and how many frames are given: far more than compilers nest,
  /// and little enough for any stack and memory.
  private static let limit = 64

  private let unit: Dwarf_Die
  private let version: Dwarf_Half
  private let address: UInt64
  /// Outermost first: a subprogram, then inlined subroutines, each in the one before.
  private var functions: [Dwarf_Die] = unsafe []

  init(in unit: Dwarf_Die, version: Dwarf_Half, at address: UInt64) {
    unsafe self.unit = unsafe unit
    self.version = version
    self.address = address
    guard let subprogram = unsafe subprogram(in: unit, depth: 0) else { return }
    unsafe functions = [subprogram]
    // Each is behind its parent in the file, so this ends.
    var parent = unsafe subprogram
    while let scope = unsafe scope(in: parent) {
      switch unsafe Self.tag(of: scope) {
      case .inlinedSubroutine: unsafe functions.append(scope)
      // A function in a function is not called by it.
      case .subprogram: unsafe functions = [scope]
      default: break
      }
      unsafe parent = unsafe scope
    }
  }

  // MARK: Frames

  /// The frames, innermost first, whose line is `line`; of more than `limit` the innermost. Without any function there
  /// is one frame if there is a line.
  func frames(innermost line: SourceLine?) -> [SourceFrame] {
    guard unsafe !functions.isEmpty else {
      return line.map { [SourceFrame(function: nil, line: $0, isInlined: false)] } ?? []
    }
    var frames: [SourceFrame] = []
    var line = line
    for index in unsafe functions.indices.suffix(Self.limit).reversed() {
      let function = unsafe functions[index]
      let isInlined = unsafe Self.tag(of: function) == .inlinedSubroutine
      frames.append(SourceFrame(function: unsafe Self.name(of: function), line: line, isInlined: isInlined))
      line = unsafe callSite(of: function)
    }
    return frames
  }

  /// Compilers leave out the name as written where it tells no more than the linkage name, and the other way round.
  private static func name(of function: Dwarf_Die) -> String? {
    let linkageName = unsafe string(.linkageName, of: function)
    if let linkageName {
      let demangled = SymbolName.demangled(linkageName)
      if demangled != linkageName { return demangled }
    }
    return unsafe string(.name, of: function) ?? linkageName
  }

  private func callSite(of function: Dwarf_Die) -> SourceLine? {
    guard let file = unsafe Self.number(.callFile, of: function).flatMap(path(ofFile:)),
      let line = unsafe Self.number(.callLine, of: function)
    else { return nil }
    return SourceLine(dwarfFile: file, line: line, column: unsafe Self.number(.callColumn, of: function))
  }

  /// The file of that number in the unit's line table. Before DWARF 5, 0 is none, which libdw names "???".
  private func path(ofFile number: UInt64) -> String? {
    var unit = unsafe unit
    var files: OpaquePointer? = nil
    var count = 0
    guard version >= 5 || number > 0, unsafe dwarf_getsrcfiles(&unit, &files, &count) == 0 else { return nil }
    guard number < count, let path = unsafe dwarf_filesrc(files, Int(number), nil, nil) else { return nil }
    return unsafe String(cString: path)
  }

  // MARK: Scopes

  /// The subprogram below `parent` that has the address, in a namespace, a module, a type or another subprogram that
  /// has no code.
  private func subprogram(in parent: Dwarf_Die, depth: Int) -> Dwarf_Die? {
    guard depth < Self.limit else { return nil }
    var next = unsafe Self.child(of: parent)
    while let die = unsafe next {
      switch unsafe Self.tag(of: die) {
      case .subprogram where unsafe hasAddress(die): return unsafe die
      case .namespace, .module, .classType, .structureType, .unionType, .enumerationType, .subprogram:
        if let found = unsafe subprogram(in: die, depth: depth + 1) { return unsafe found }
      default: break
      }
      unsafe next = unsafe Self.sibling(of: die)
    }
    return nil
  }

  /// The first part of the code of `parent` that has the address.
  private func scope(in parent: Dwarf_Die) -> Dwarf_Die? {
    var next = unsafe Self.child(of: parent)
    while let die = unsafe next {
      switch unsafe Self.tag(of: die) {
      case .inlinedSubroutine, .subprogram, .lexicalBlock, .tryBlock, .catchBlock:
        if unsafe hasAddress(die) { return unsafe die }
      default: break
      }
      unsafe next = unsafe Self.sibling(of: die)
    }
    return nil
  }

  private func hasAddress(_ die: Dwarf_Die) -> Bool {
    var die = unsafe die
    return unsafe dwarf_haspc(&die, address) == 1
  }

  // MARK: Reading

  private static func tag(of die: Dwarf_Die) -> Tag? {
    var die = unsafe die
    return Tag(rawValue: unsafe dwarf_tag(&die))
  }

  private static func child(of die: Dwarf_Die) -> Dwarf_Die? {
    var die = unsafe die
    var child = unsafe Dwarf_Die()
    return unsafe dwarf_child(&die, &child) == 0 ? child : nil
  }

  /// Nil for one that is not behind `die`, where DW_AT_sibling could lead in a circle.
  private static func sibling(of die: Dwarf_Die) -> Dwarf_Die? {
    var die = unsafe die
    var sibling = unsafe Dwarf_Die()
    guard unsafe dwarf_siblingof(&die, &sibling) == 0 else { return nil }
    return unsafe dwarf_dieoffset(&sibling) > dwarf_dieoffset(&die) ? sibling : nil
  }

  /// The value of the attribute, of `die` or of what its abstract origin or specification leads to; libdw follows at
  /// most 16 of these.
  private static func string(_ attribute: Attribute, of die: Dwarf_Die) -> String? {
    var die = unsafe die
    var value = unsafe Dwarf_Attribute()
    guard unsafe dwarf_attr_integrate(&die, attribute.rawValue, &value) != nil,
      let string = unsafe dwarf_formstring(&value)
    else { return nil }
    return unsafe String(cString: string)
  }

  private static func number(_ attribute: Attribute, of die: Dwarf_Die) -> UInt64? {
    var die = unsafe die
    var value = unsafe Dwarf_Attribute()
    var number: Dwarf_Word = 0
    guard unsafe dwarf_attr(&die, attribute.rawValue, &value) != nil,
      unsafe dwarf_formudata(&value, &number) == 0
    else { return nil }
    return number
  }
}
