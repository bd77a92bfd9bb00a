import GuestImage
import X86

/// An exception that the next instruction raises, or may raise, and by which rule.
struct RaisedException: Hashable {
  /// The rule that the instruction breaks.
  enum Reason: Hashable {
    /// A page walk fails.
    case access(FailedAccess)
    /// The bytes at RIP are no instruction of this mode.
    case noInstruction(DecodingError)
    /// The instruction is there to raise it: UD2, INT3.
    case onPurpose
    /// BOUND, whose index lies outside of its bounds.
    case outOfBounds(index: Int64, lower: Int64, upper: Int64)
    /// Something that DR6, DR7 and RFLAGS.TF ask to be told of.
    case debug(DebugCondition)
    /// The processor has none of these features, of which the instruction needs one.
    case missingFeature([ProcessorFeature])
    /// A control bit is not as the instruction needs it.
    case notEnabled(EnableBit)
    /// A system register cannot take the value.
    case registerWrite(RefusedRegisterWrite)
    /// The processor has no such MSR, or not that value for it.
    case unknownMSR(index: UInt32, write: UInt64?)
    /// The instruction may be used at a lower CPL only.
    case privilege(currentPrivilegeLevel: Int)
    /// The TSS does not let the program use the port; why, as a clause.
    case port(UInt16, String)
    /// The instruction is there in other modes only.
    case notInThisMode
    /// SYSENTER or SYSEXIT without a code segment in IA32_SYSENTER_CS.
    case systemCallNotSetUp
    /// An operand's address is not canonical.
    case notCanonical(LinearAddress)
    /// An operand is not aligned to as many bytes as it has.
    case misaligned(LinearAddress, Int)
    /// The quotient does not fit, or the divisor is 0.
    case division(byZero: Bool)
    /// An x87 or SSE instruction met a numeric exception that is not masked.
    case floatingPoint
    /// An operand's segment does not allow the access.
    case segment(SegmentRegister, SegmentViolation)
    /// A selector cannot be loaded.
    case selector(SegmentSelector, SelectorViolation)
    /// A task cannot be switched to.
    case taskSwitch(TaskSwitch.Refusal)
    /// A call gate to an inner level finds no stack there.
    case noInnerStack(HandlerPath.Obstacle)
    /// IRET with RFLAGS.NT set, which asks for the task before, and long mode has no tasks.
    case nestedTaskInLongMode
    /// An interrupt finds no way to a handler.
    case undeliverable(InterruptEvent, HandlerPath.Obstacle)
  }

  var vector: ExceptionVector
  /// The code that is pushed; nil for those exceptions that have none.
  var errorCode: UInt32?
  var reason: Reason
  /// What it hangs on, as the end of a sentence that begins with "if"; nil if it is raised for certain.
  var condition: String?

  init(_ vector: ExceptionVector, code: UInt32? = nil, _ reason: Reason, if condition: String? = nil) {
    self.vector = vector
    errorCode = code
    self.reason = reason
    self.condition = condition
  }

  /// A #GP with the error code 0, as most rules have it.
  static func generalProtection(_ reason: Reason, if condition: String? = nil) -> Self {
    Self(.generalProtection, code: 0, reason, if: condition)
  }

  static func pageFault(_ access: FailedAccess, if condition: String? = nil) -> Self {
    Self(.pageFault, code: access.errorCode.rawValue, .access(access), if: condition)
  }

  /// `#UD`, `#GP (0x0)`, `#PF, 0x9 (P|RSVD)`.
  var name: String {
    if let access { return "\(vector.name), \(access.errorCode.words)" }
    return errorCode.map { "\(vector.name) (\($0.hexadecimal))" } ?? vector.name
  }

  /// Whether a recorded exception can be this one. INT3 and INTO may be recorded as what they ask for, or as what became of that.
  func agrees(with recorded: RecordedException) -> Bool {
    if case .undeliverable(.software(let asked), _) = reason, asked == recorded.vector.rawValue { return true }
    return vector == recorded.vector
      && (recorded.errorCode == nil || errorCode == nil || recorded.errorCode == errorCode)
  }

  /// An exception that says by its vector what it is of, where the registers do not show which; nil for all others.
  ///
  /// - Parameter isMemoryKnown: Whether the operands could be looked at.
  init?(untold recorded: RecordedException, isMemoryKnown: Bool) {
    switch recorded.vector {
    case .debug: self.init(.debug, .debug(.unknown))
    case .x87FloatingPoint, .simdFloatingPoint: self.init(recorded.vector, .floatingPoint)
    // Nothing but BOUND raises it (SDM vol. 3, 6.15).
    case .boundRange where !isMemoryKnown: self.init(.boundRange, .onPurpose)
    default: return nil
    }
  }

  var isCertain: Bool { condition == nil }

  /// The page walk that fails; nil for all but page faults.
  var access: FailedAccess? {
    if case .access(let access) = reason { return access }
    return nil
  }
}

/// An interrupt that is no exception.
enum InterruptEvent: Hashable {
  /// INT n.
  case software(vector: UInt8)
  /// From a device; nil where nothing shows which.
  case hardware(vector: UInt8?)
  /// From a device, on a vector that nothing shows but that is the only one without a handler of those that are likely.
  case supposed(vector: UInt8)

  /// Whether INT n asks for it.
  var isSoftware: Bool { if case .software = self { true } else { false } }

  /// The vector of a device's interrupt, if one is known or supposed; nil for INT n.
  var hardwareVector: UInt8?? {
    switch self {
    case .software: nil
    case .hardware(let vector): .some(vector)
    case .supposed(let vector): .some(vector)
    }
  }
}

/// What a debug exception is raised for (SDM vol. 3, 17.2 and 17.3).
enum DebugCondition: Hashable {
  /// The breakpoint `number` in DR0 to DR3, at the instruction or at data.
  case breakpoint(number: Int, address: LinearAddress, isOfExecution: Bool)
  /// RFLAGS.TF: an exception after each instruction.
  case singleStep
  /// The registers do not show it.
  case unknown
}

/// A value that a system register cannot take (SDM vol. 3, 2.5, 2.6, 2.2.1; Linux arch/x86/kvm/x86.c, 6.19).
struct RefusedRegisterWrite: Hashable {
  /// Why it cannot.
  enum Rule: Hashable {
    /// Bits that mean something only with a feature that the processor lacks.
    case missingFeature([ProcessorFeature])
    /// Bits that mean nothing on any processor.
    case reserved
    /// Bits that contradict others, or the mode: which, in words.
    case combination(String)
  }

  /// `CR4`, `EFER`.
  var register: String
  var value: UInt64
  /// The bits that are wrong.
  var bits: UInt64
  var rule: Rule
}

/// Why a segment does not allow an access (SDM vol. 3, 5.2 to 5.4).
enum SegmentViolation: Hashable {
  case isNull
  case isReadOnly
  case isExecuteOnly
  /// The last byte of the access lies beyond the limit.
  case beyondLimit(offset: UInt64, limit: UInt32)
}

/// Why a selector cannot be loaded (SDM vol. 2, MOV, JMP and IRET; vol. 3, 5.4, 5.8).
enum SelectorViolation: Hashable {
  case isNull
  case beyondTable(limit: UInt32)
  case notMapped(FailedAccess)
  /// Its descriptor would lie where the machine has no memory.
  case outsideMemory(LinearAddress)
  /// The descriptor is of another kind than the register needs, with what it is.
  case wrongType(SegmentDescriptor)
  case notPresent(SegmentDescriptor)
  /// The rules of privilege forbid it at this CPL: the current one, or the one that is returned to.
  case privilege(SegmentDescriptor, level: Int)
  /// A code descriptor with both L and D set.
  case bothLongAndBig(SegmentDescriptor)
  /// A far transfer to an offset beyond the limit of the code segment.
  case beyondLimit(SegmentDescriptor, offset: UInt64)
  /// A far transfer to an offset beyond a limit that nothing shows.
  case beyondUnseenLimit(offset: UInt64)
  /// A far transfer to the task that TR holds, whose TSS is busy.
  case isCurrentTask
  /// The processor refused it, and nothing shows its descriptor.
  case refused
}
