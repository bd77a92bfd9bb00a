import GuestImage
import X86

extension InstructionChecks {
  /// Instructions that load a segment register, LDTR or TR from a descriptor (SDM vol. 2, MOV, JMP, CALL, RET, IRET, LLDT, LTR;
  /// vol. 3, 5.4 to 5.8).
  mutating func checkSelectors() {
    guard state.mode != .real, state.mode != .virtual8086 else { return }
    let explicit = instruction.operands.filter(\.isExplicit)
    switch instruction.mnemonic {
    case "mov", "pop":
      guard case .register(.segment(let register))? = explicit.first?.value, let source = selectorSource(explicit),
        let value = value(of: source)
      else { return }
      checkLoad(of: register, SegmentSelector(rawValue: UInt16(truncatingIfNeeded: value)))
    case "lldt": operandSelector(explicit).map { checkSystem($0, types: [2]) }
    case "ltr": operandSelector(explicit).map { checkSystem($0, types: state.isLongModeActive ? [9] : [1, 9]) }
    case "iret", "iretd", "iretq": checkReturn(hasFlags: true)
    case "ret" where instruction.isFarBranch: checkReturn(hasFlags: false)
    case "jmp", "call":
      if instruction.isFarBranch {
        farTarget(explicit).map { checkCode($0.selector, offset: $0.offset, isReturn: false) }
      }
    default: break
    }
  }

  private func selectorSource(_ explicit: [Operand]) -> Operand? {
    if instruction.mnemonic == "mov" { return explicit.count == 2 ? explicit[1] : nil }
    return instruction.memoryOperands.first
  }

  private func operandSelector(_ explicit: [Operand]) -> SegmentSelector? {
    explicit.first.flatMap(value).map { SegmentSelector(rawValue: UInt16(truncatingIfNeeded: $0)) }
  }

  /// Where a far JMP or CALL leads.
  private func farTarget(_ explicit: [Operand]) -> (selector: SegmentSelector, offset: UInt64)? {
    guard let operand = explicit.first else { return nil }
    if case .farPointer(let selector, let offset) = operand.value {
      return (SegmentSelector(rawValue: selector), UInt64(offset))
    }
    guard let address = instruction.linearAddress(of: operand, in: state) else { return nil }
    let width = instruction.operandWidth / 8
    let bytes = instant.bytes(at: address, count: width + 2, for: PageAccess(.read, by: instant.privilege))
    guard bytes.count == width + 2 else { return nil }
    return (
      SegmentSelector(rawValue: UInt16(littleEndian: bytes[width...])), UInt64(littleEndian: bytes[..<width])
    )
  }

  // MARK: Descriptors

  /// The descriptor that `selector` names, or nothing where it raises an exception or is not known.
  private mutating func descriptor(_ selector: SegmentSelector) -> SegmentDescriptor? {
    switch instant.descriptor(selector) {
    case .found(let descriptor): return descriptor
    case .beyond(let limit): refuse(selector, .beyondTable(limit: limit))
    case .notMapped(let access): raise(.pageFault(access))
    case .unknown(let reason): doubt(reason)
    }
    return nil
  }

  private mutating func refuse(
    _ selector: SegmentSelector, _ violation: SelectorViolation, _ vector: ExceptionVector = .generalProtection
  ) {
    let code = violation == .isNull ? 0 : UInt32(selector.rawValue & ~3)
    raise(RaisedException(vector, code: code, .selector(selector, violation)))
  }

  private mutating func checkLoad(of register: SegmentRegister, _ selector: SegmentSelector) {
    guard register != .ss else { return checkStackSegment(selector, forLevel: instant.currentPrivilegeLevel) }
    guard !selector.isNull, let descriptor = descriptor(selector) else { return }
    let attributes = descriptor.attributes
    let isReadable = !attributes.contains(.code) || attributes.contains(.writableOrReadable)
    guard attributes.contains(.codeOrData), isReadable else { return refuse(selector, .wrongType(descriptor)) }
    let level = max(instant.currentPrivilegeLevel, selector.requestedPrivilegeLevel)
    let isConforming = attributes.contains([.code, .expandDownOrConforming])
    if !isConforming, level > attributes.descriptorPrivilegeLevel { return refuse(selector, .privilege(descriptor)) }
    if !attributes.contains(.present) { refuse(selector, .notPresent(descriptor), .segmentNotPresent) }
  }

  /// SS may be null in 64-bit mode below CPL 3.
  private mutating func checkStackSegment(_ selector: SegmentSelector, forLevel level: Int) {
    if selector.isNull {
      if state.mode == .long64, level < 3 { return }
      return refuse(selector, .isNull)
    }
    guard let descriptor = descriptor(selector) else { return }
    let attributes = descriptor.attributes
    guard attributes.contains([.codeOrData, .writableOrReadable]), !attributes.contains(.code) else {
      return refuse(selector, .wrongType(descriptor))
    }
    guard selector.requestedPrivilegeLevel == level, attributes.descriptorPrivilegeLevel == level else {
      return refuse(selector, .privilege(descriptor))
    }
    if !attributes.contains(.present) { refuse(selector, .notPresent(descriptor), .stackFault) }
  }

  /// LDTR and TR: the types of system descriptors (SDM vol. 3, table 3-2).
  private mutating func checkSystem(_ selector: SegmentSelector, types: [UInt8]) {
    guard !selector.isNull else {
      if instruction.mnemonic == "ltr" { refuse(selector, .isNull) }
      return
    }
    guard let descriptor = descriptor(selector) else { return }
    let attributes = descriptor.attributes
    guard !attributes.contains(.codeOrData), types.contains(attributes.type), !selector.isLocal else {
      return refuse(selector, .wrongType(descriptor))
    }
    if !attributes.contains(.present) { refuse(selector, .notPresent(descriptor), .segmentNotPresent) }
  }

  // MARK: Far transfers

  private mutating func checkCode(_ selector: SegmentSelector, offset: UInt64, isReturn: Bool) {
    guard !selector.isNull else { return refuse(selector, .isNull) }
    guard let descriptor = descriptor(selector) else { return }
    let attributes = descriptor.attributes
    guard descriptor.isCode else {
      if !attributes.contains(.codeOrData), [1, 4, 5, 9, 12].contains(attributes.type) {
        return doubt("a jump through a gate or to a task was not worked out")
      }
      return refuse(selector, .wrongType(descriptor))
    }
    guard isPrivileged(selector, descriptor, isReturn) else { return refuse(selector, .privilege(descriptor)) }
    if !attributes.contains(.present) { return refuse(selector, .notPresent(descriptor), .segmentNotPresent) }
    let isLong = state.isLongModeActive && attributes.contains(.long)
    if isLong, attributes.contains(.big) { return refuse(selector, .bothLongAndBig(descriptor)) }
    if isLong, let paging = instant.paging, !paging.isCanonical(LinearAddress(offset)) {
      raise(.generalProtection(.notCanonical(LinearAddress(offset))))
    }
  }

  private func isPrivileged(_ selector: SegmentSelector, _ descriptor: SegmentDescriptor, _ isReturn: Bool) -> Bool {
    let level = instant.currentPrivilegeLevel
    let requested = selector.requestedPrivilegeLevel
    let granted = descriptor.attributes.descriptorPrivilegeLevel
    let isConforming = descriptor.attributes.contains(.expandDownOrConforming)
    if isReturn { return requested >= level && (isConforming ? granted <= requested : granted == requested) }
    return isConforming ? granted <= level : requested <= level && granted == level
  }

  /// IRET and far RET: the frame on the stack, from RIP up.
  private mutating func checkReturn(hasFlags: Bool) {
    let width = instruction.operandWidth / 8
    let pointer = state.generalPurpose.rsp & Self.mask(instruction.stackWidth)
    let base = state.mode == .long64 ? 0 : state.ss.base
    let words = (0..<5).map { index -> UInt64? in
      let address = LinearAddress(base &+ pointer &+ UInt64(index * width))
      let bytes = instant.bytes(at: address, count: width, for: PageAccess(.read, by: instant.privilege))
      return bytes.count == width ? UInt64(littleEndian: bytes[...]) : nil
    }
    guard let offset = words[0], let code = words[1] else { return doubt("the frame on the stack is not known") }
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: code))
    checkCode(selector, offset: offset, isReturn: true)
    guard exceptions.last?.isCertain != true else { return }
    // IRET in 64-bit mode always takes SS:RSP; else only a return to another level does.
    let isOuter = selector.requestedPrivilegeLevel > instant.currentPrivilegeLevel
    guard isOuter || hasFlags && state.mode == .long64, let stack = words[hasFlags ? 4 : 3] else { return }
    checkStackSegment(
      SegmentSelector(rawValue: UInt16(truncatingIfNeeded: stack)), forLevel: selector.requestedPrivilegeLevel)
  }

  private static func mask(_ bits: Int) -> UInt64 { bits >= 64 ? .max : 1 << UInt64(bits) - 1 }
}

extension Instant {
  /// What became of a selector's descriptor.
  enum DescriptorLookup {
    case found(SegmentDescriptor)
    /// It lies beyond its table's limit.
    case beyond(limit: UInt32)
    case notMapped(FailedAccess)
    case unknown(String)
  }

  /// The descriptor that a selector, which is not null, names now.
  func descriptor(_ selector: SegmentSelector) -> DescriptorLookup {
    let table =
      selector.isLocal
      ? DescriptorTable(base: LinearAddress(state.ldtr.base), limit: state.ldtr.limit)
      : DescriptorTable(base: state.gdtr.base, limit: UInt32(state.gdtr.limit))
    guard table.contains(selector) else { return .beyond(limit: table.limit) }
    guard let paging else { return .unknown("EFER is not known") }
    let access = PageAccess(.read, by: implicitPrivilege)
    do throws(LinearAccessFailure) {
      return .found(
        SegmentDescriptor(low: try paging.loadUInt64(at: table.address(of: selector), for: access, in: memory)))
    } catch {
      if case .walk(let walk) = error.cause, let failed = FailedAccess(walk) { return .notMapped(failed) }
      return .unknown("the descriptor of \(selector.rawValue.hexadecimal) is not known")
    }
  }
}

extension FixedWidthInteger {
  /// The number that the bytes are, the least significant first; bytes beyond its width are dropped.
  init(littleEndian bytes: ArraySlice<UInt8>) {
    self = bytes.reversed().reduce(0) { $0 << 8 | Self(truncatingIfNeeded: $1) }
  }
}
