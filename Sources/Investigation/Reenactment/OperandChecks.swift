import GuestImage
import X86

extension InstructionChecks {
  /// Each operand in memory, in the decoder's order: its segment, its address, its alignment, its page walk.
  mutating func checkOperands() {
    for operand in instruction.memoryOperands where operand.memory?.purpose == .access {
      guard let reference = operand.memory else { continue }
      // Where a far CALL pushes hangs on its target: see FarTransferChecks.
      if instruction.isFarBranch, instruction.mnemonic == "call", !operand.isExplicit { continue }
      guard let address = instruction.linearAddress(of: operand, in: state) else {
        doubt("an operand's address was not worked out")
        continue
      }
      checkSegment(of: operand, reference, at: address)
      guard exceptions.last?.isCertain != true else { return }
      checkAlignment(of: operand, at: address)
      guard exceptions.last?.isCertain != true else { return }
      checkPages(of: operand, reference, from: address)
      guard exceptions.last?.isCertain != true else { return }
    }
  }

  /// The first and the last byte, which may lie on two pages.
  private mutating func checkPages(of operand: Operand, _ reference: MemoryReference, from address: LinearAddress) {
    let access = PageAccess(operand.isWrite ? .write : .read, by: instant.privilege)
    let last = LinearAddress(address.rawValue &+ UInt64(max(operand.size, 1) - 1))
    let isOnTwoPages = address.rawValue >> 12 != last.rawValue >> 12
    for place in isOnTwoPages ? [address, LinearAddress(last.rawValue & ~0xFFF)] : [address] {
      switch instant.translate(place, for: access, usesStackSegment: reference.segment == .ss) {
      case .physical: continue
      case .fails(let exception): return raise(isConditional(operand) ? exception.ifExecuted : exception)
      case .unknown(let reason): return doubt(reason)
      }
    }
  }

  /// Whether a REP count or a mask decides if the operand is accessed at all.
  private func isConditional(_ operand: Operand) -> Bool {
    guard operand.access.isDisjoint(with: [.read, .write]) else { return false }
    // Without a REP prefix Zydis calls no access of a string instruction conditional. RCX tells whether there is one.
    return !isRepeatedString || state.generalPurpose.rcx & addressMask == 0
  }

  private var isRepeatedString: Bool { instruction.category == "STRINGOP" || instruction.category == "IOSTRINGOP" }

  private var addressMask: UInt64 {
    instruction.addressWidth >= 64 ? .max : 1 << UInt64(instruction.addressWidth) - 1
  }

  /// Legacy SSE and the aligned moves of VEX and EVEX raise #GP for an operand that is not aligned to its size (SDM vol. 2,
  /// 2.4, exception types 1 to 4).
  private mutating func checkAlignment(of operand: Operand, at address: LinearAddress) {
    let alignment = instruction.alignment(of: operand)
    guard alignment.nonzeroBitCount == 1, address.rawValue & UInt64(alignment - 1) != 0 else { return }
    if alignment >= 16, instruction.needsAlignment {
      return raise(.generalProtection(.misaligned(address, alignment)))
    }
    // SDM vol. 3, 6.15, "Interrupt 17": at CPL 3, with CR0.AM and RFLAGS.AC.
    guard (2...8).contains(operand.size), instant.currentPrivilegeLevel == 3, state.cr0.contains(.alignmentMask),
      state.rflags.contains(.alignmentCheck)
    else { return }
    raise(RaisedException(.alignmentCheck, code: 0, .misaligned(address, operand.size)))
  }

  // MARK: Segments

  /// Null, type and limit; in 64-bit mode nothing of that counts (SDM vol. 3, 5.2.1, 5.3, 5.4), and under TCG never (measured with
  /// 7.2).
  private mutating func checkSegment(of operand: Operand, _ reference: MemoryReference, at address: LinearAddress) {
    guard state.mode != .long64, instant.executor != .tcg else { return }
    let segment = state[reference.segment]
    let vector: ExceptionVector = reference.segment == .ss ? .stackFault : .generalProtection
    guard let violation = segmentViolation(segment, reference.segment, operand, at: address) else { return }
    raise(RaisedException(vector, code: 0, .segment(reference.segment, violation)))
  }

  private func segmentViolation(
    _ segment: Segment, _ register: SegmentRegister, _ operand: Operand, at address: LinearAddress
  ) -> SegmentViolation? {
    let isProtected = state.mode != .real && state.mode != .virtual8086
    let attributes = segment.attributes
    if isProtected {
      // A null selector leaves the segment unusable. QEMU shows that as P clear.
      if segment.selector.isNull, register != .cs, !attributes.contains(.present) { return .isNull }
      if operand.isWrite, attributes.contains(.code) || !attributes.contains(.writableOrReadable) { return .isReadOnly }
      if operand.isRead, attributes.contains(.code), !attributes.contains(.writableOrReadable) { return .isExecuteOnly }
    }
    let offset = (address.rawValue &- segment.base) & 0xFFFF_FFFF
    let last = offset &+ UInt64(max(operand.size, 1) - 1)
    guard attributes.contains(.code) || !attributes.contains(.expandDownOrConforming) || !isProtected else {
      // Expand-down segments have their room above the limit (SDM vol. 3, 5.3).
      let end: UInt64 = attributes.contains(.big) ? 0xFFFF_FFFF : 0xFFFF
      return offset <= UInt64(segment.limit) || last > end ? .beyondLimit(offset: offset, limit: segment.limit) : nil
    }
    return last > UInt64(segment.limit) ? .beyondLimit(offset: offset, limit: segment.limit) : nil
  }
}

extension RaisedException {
  /// The same, if the instruction makes the access at all.
  fileprivate var ifExecuted: Self {
    RaisedException(vector, code: errorCode, reason, if: "the instruction makes the access")
  }
}

extension Instruction {
  /// Whether an operand in memory that is not aligned to its size raises #GP.
  ///
  /// MXCSR can lift it for what is neither a move nor non-temporal on AMD (misaligned SSE mode), so only moves count.
  var needsAlignment: Bool { Self.alignedMoves.contains(mnemonic) || mnemonic == "cmpxchg16b" }

  /// To how many bytes an operand has to be aligned, if to any: to its size, but for FXSAVE's area of 512 bytes to 16 (SDM vol. 2, FXSAVE).
  func alignment(of operand: Operand) -> Int { mnemonic.hasPrefix("fx") ? min(operand.size, 16) : operand.size }

  private static let alignedMoves: Set<String> = [
    "movaps", "movapd", "movdqa", "movntps", "movntpd", "movntdq", "movntdqa", "vmovaps", "vmovapd", "vmovdqa",
    "vmovdqa32", "vmovdqa64", "vmovntps", "vmovntpd", "vmovntdq", "vmovntdqa", "fxsave", "fxrstor", "fxsave64",
    "fxrstor64",
  ]
}
