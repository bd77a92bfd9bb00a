import GuestImage
import X86

/// The way from an exception to its handler: the gate, the handler's code segment, the stack and the frame (SDM vol. 3, 6.12 to
/// 6.14).
enum HandlerPath {
  /// Nothing stands in the way; the address of the handler's first instruction.
  case clear(handler: LinearAddress)
  case blocked(Obstacle)
  case unknown(String)

  /// What keeps an exception from its handler.
  struct Obstacle: Hashable {
    var kind: HandlerObstacle
    /// What is wrong, as the end of a sentence.
    var words: String
    var remedy: String
    /// What the processor raises for it.
    var exception: ExceptionVector
    /// The walk that fails, if that is a page fault.
    var access: FailedAccess?
    /// The registers in which that is raised, where a task switch has changed them.
    var context: ProcessorState?
    /// Whether nothing else can be in the way.
    var isDecided = true
  }

  /// - Parameters:
  ///   - vector: The exception to deliver.
  ///   - instant: The processor when it comes up.
  ///   - isSoftware: Whether INT n asks for it, which needs a gate that its CPL may use.
  init(of vector: ExceptionVector, at instant: Instant, isSoftware: Bool = false) {
    do throws(Blockage) {
      if instant.state.mode == .real {
        self = .clear(handler: try Self.realModeEntry(of: vector, at: instant))
        return
      }
      self = .clear(handler: try Self.protectedModeEntry(of: vector, at: instant, isSoftware: isSoftware))
    } catch {
      switch error {
      case .obstacle(let obstacle): self = .blocked(obstacle)
      case .doubt(let reason): self = .unknown(reason)
      }
    }
  }

  private static func protectedModeEntry(
    of vector: ExceptionVector, at instant: Instant, isSoftware: Bool
  ) throws(Blockage) -> LinearAddress {
    let gate = try gate(of: vector, at: instant)
    if isSoftware, gate.descriptorPrivilegeLevel < instant.currentPrivilegeLevel {
      throw blocked(
        .gatePrivilege,
        "its gate has DPL \(gate.descriptorPrivilegeLevel), and CPL is \(instant.currentPrivilegeLevel) (#GP)",
        remedy: "give the gates that user programs may use DPL 3", by: .generalProtection)
    }
    // INT n through a gate that is not present looks at DPL first (SDM vol. 2, INT n).
    guard gate.isPresent else {
      throw blocked(
        .gateNotPresent, "its gate is not present (#NP)", remedy: "give it a gate with P set (bit 47)",
        by: .segmentNotPresent)
    }
    if gate.kind == .task { return try taskEntry(through: gate, at: instant) }
    return try entry(through: gate, of: vector, at: instant)
  }

  /// A task gate: the handler is a task of its own (SDM vol. 3, 6.12.2).
  ///
  /// An error code is pushed on the new task's stack, which is not looked at.
  private static func taskEntry(through gate: InterruptGate, at instant: Instant) throws(Blockage) -> LinearAddress {
    switch TaskSwitch(to: gate.selector, at: instant) {
    case .completed(let state): return state.instructionAddress
    case .unknown(let reason): throw .doubt(reason)
    case .refused(let refusal):
      throw .obstacle(
        Obstacle(
          kind: .taskSwitch, words: "its task gate leads to no task: \(refusal.words) (\(refusal.exceptionName))",
          remedy:
            "give the task gate the selector of an available TSS (type 9) of 104 bytes that holds CR3, EIP, EFLAGS, ESP and all segments",
          exception: refusal.exception, access: refusal.access, context: refusal.context))
    }
  }

  /// The offset in the gate of `vector`, whatever its code segment is; nil where it leads nowhere.
  static func offset(of vector: ExceptionVector, at instant: Instant) -> UInt64? {
    presentGate(of: vector, at: instant)?.offset
  }

  /// Where the gate of `vector` leads, whatever else stands in the way; nil where it leads nowhere.
  static func target(of vector: ExceptionVector, at instant: Instant) -> LinearAddress? {
    guard let gate = presentGate(of: vector, at: instant) else { return nil }
    if gate.isLongMode { return LinearAddress(gate.offset) }
    guard case .found(let descriptor) = instant.descriptor(gate.selector) else { return nil }
    return LinearAddress((descriptor.base &+ gate.offset) & 0xFFFF_FFFF)
  }

  /// Nil where there is none, or a task gate.
  private static func presentGate(of vector: ExceptionVector, at instant: Instant) -> InterruptGate? {
    guard instant.state.mode != .real, let gate = try? gate(of: vector, at: instant), gate.isPresent, gate.kind != .task
    else { return nil }
    return gate
  }

  /// Whether the second 8 bytes of a gate of long mode look like a gate too: P set, a gate's type, and the reserved bits not zero.
  static func hasShortGates(at vector: ExceptionVector, _ instant: Instant) -> Bool {
    guard instant.state.isLongModeActive, let paging = instant.paging else { return false }
    let table = InterruptDescriptorTable(register: instant.state.idtr, isLongModeActive: true)
    let address = LinearAddress(table.gateAddress(of: vector).rawValue &+ 8)
    guard let high = try? paging.loadUInt64(at: address, for: instant.implicitRead, in: instant.memory) else {
      return false
    }
    let gate = InterruptGate(high)
    return gate.isPresent && [0xE, 0xF].contains(gate.type)
  }

  /// Whether a gate of 8 bytes lies where protected mode would look for it, and another beside it: in a table of 16-byte gates every
  /// second 8 bytes are the upper half of an address.
  private static func hasShortGate(of vector: ExceptionVector, at instant: Instant) -> Bool {
    guard instant.state.isLongModeActive, let paging = instant.paging else { return false }
    let own = instant.state.idtr.base.rawValue &+ 8 &* UInt64(vector.rawValue)
    let gates = [own &- 8, own, own &+ 8].map { address -> Bool in
      guard
        let word = try? paging.loadUInt64(at: LinearAddress(address), for: instant.implicitRead, in: instant.memory)
      else { return false }
      let gate = InterruptGate(word)
      return gate.isPresent && [0xE, 0xF].contains(gate.type) && !gate.selector.isNull
    }
    return gates[1] && (gates[0] || gates[2])
  }

  private enum Blockage: Error {
    case obstacle(Obstacle)
    case doubt(String)
  }

  private static func blocked(
    _ kind: HandlerObstacle, _ words: String, remedy: String, by exception: ExceptionVector,
    _ access: FailedAccess? = nil
  ) -> Blockage {
    .obstacle(Obstacle(kind: kind, words: words, remedy: remedy, exception: exception, access: access))
  }

  /// Real mode's vector: 4 bytes, offset and segment, within IDTR's limit (SDM vol. 3, 21.1.4). Any vector is taken for good, for
  /// nothing tells a bad one.
  private static func realModeEntry(of vector: ExceptionVector, at instant: Instant) throws(Blockage) -> LinearAddress {
    let table = instant.state.idtr
    let offset = UInt64(vector.rawValue) * 4
    guard offset + 3 <= UInt64(table.limit) else {
      throw blocked(
        .idtLimit, "the limit of real mode's vectors, \(table.limit.hexadecimal), ends before its entry (#GP)",
        remedy: "leave IDTR as it is after a reset, base 0 and limit 3FFH, until protected mode is on",
        by: .generalProtection)
    }
    try checkRealModeStack(at: instant)
    let place = PhysicalAddress(table.base.rawValue &+ offset)
    guard let bytes = try? instant.memory.bytes(at: place, count: 4) else {
      throw .doubt("real mode's vectors are not known")
    }
    return LinearAddress(UInt64(littleEndian: bytes[2...]) << 4 &+ UInt64(littleEndian: bytes[..<2]))
  }

  /// FLAGS, CS and IP, of which none may lie across the end of SS (SDM vol. 2, INT n, REAL-ADDRESS-MODE; vol. 3, 5.3). TCG does not look.
  private static func checkRealModeStack(at instant: Instant) throws(Blockage) {
    guard instant.executor != .tcg else { return }
    let stack = instant.state.ss
    for depth in [2, 4, 6] as [UInt64] {
      let offset = (instant.state.generalPurpose.rsp &- depth) & 0xFFFF
      guard offset &+ 1 > UInt64(stack.limit) else { continue }
      throw blocked(
        .stackNotWritable,
        "its frame cannot be pushed: SP is \((instant.state.generalPurpose.rsp & 0xFFFF).hexadecimal), and a word at \(offset.hexadecimal) lies across the limit of SS, \(stack.limit.hexadecimal) (#SS)",
        remedy: "keep SP even", by: .stackFault)
    }
  }

  // MARK: The gate

  private static func gate(of vector: ExceptionVector, at instant: Instant) throws(Blockage) -> InterruptGate {
    let table = InterruptDescriptorTable(register: instant.state.idtr, isLongModeActive: instant.state.isLongModeActive)
    guard table.contains(vector) else {
      throw blocked(
        .idtLimit, "the IDT's limit, \(table.register.limit.hexadecimal), ends before its gate (#GP)",
        remedy:
          "load an IDT (LIDT) with gates at least for #DF, #GP and #PF before anything can fault; its limit is 16 (in "
          + "protected mode 8) times the number of gates, less 1", by: .generalProtection)
    }
    let address = table.gateAddress(of: vector)
    let low = try word(
      at: address, instant, or: .idtNotMapped,
      "its gate at \(address.rawValue.hexadecimal) cannot be read",
      remedy: "map the IDT in every address space")
    let high =
      table.isLongModeActive
      ? try word(
        at: LinearAddress(address.rawValue &+ 8), instant, or: .idtNotMapped,
        "its gate at \(address.rawValue.hexadecimal) cannot be read", remedy: "map the IDT in every address space")
      : 0
    let gate = table.isLongModeActive ? InterruptGate(low: low, high: high) : InterruptGate(low)
    if gate.kind == nil, table.register == .ofRealMode {
      throw blocked(
        .gateType,
        "the IDT is still real mode's (base 0, limit 0x3ff), whose vectors are no gates (#GP)",
        remedy: "load an IDT of gates (LIDT) before interrupts are turned on", by: .generalProtection)
    }
    if low == 0 || gate.kind == nil, hasShortGate(of: vector, at: instant) {
      throw blocked(
        .gateType,
        "the IDT is filled with gates of 8 bytes, as protected mode has them; in long mode a gate has 16 (#GP)",
        remedy: "fill the IDT with gates of 16 bytes, with bits 63 to 32 of the offset in the third doubleword",
        by: .generalProtection)
    }
    guard low != 0 || high != 0 else {
      throw blocked(
        .noHandler, "its IDT entry is empty: it has no handler (#GP)",
        remedy: "give the vector a gate and a handler, or mask the device",
        by: .generalProtection)
    }
    guard gate.kind != nil else {
      throw blocked(
        .gateType, "its IDT entry is no gate, type \(gate.type.hexadecimal) (#GP)",
        remedy: "fill the IDT with interrupt or trap gates, types EH and FH", by: .generalProtection)
    }
    return gate
  }

  /// 8 bytes of a table that the processor reads by itself.
  private static func word(
    at address: LinearAddress, _ instant: Instant, or kind: HandlerObstacle, _ words: String, remedy: String
  ) throws(Blockage) -> UInt64 {
    guard let paging = instant.paging else { throw .doubt("EFER is not known") }
    do throws(LinearAccessFailure) {
      return try paging.loadUInt64(at: address, for: instant.implicitRead, in: instant.memory)
    } catch {
      switch error.cause {
      // Zeroes are read there under TCG (softmmu/memory.c: unassigned_mem_read, 7.2), all ones elsewhere: neither is a gate.
      case .memory(let missing) where missing.reason == .unbacked && kind == .idtNotMapped:
        throw blocked(
          .gateType,
          "its gate would lie at \(address.rawValue.hexadecimal), where there is no memory: IDTR's base is \(instant.state.idtr.base.rawValue.hexadecimal) (#GP)",
          remedy:
            "load IDTR with the table's address: LIDT takes a limit of 2 bytes and the base right behind it, in C a structure that is packed",
          by: .generalProtection)
      case .memory: throw .doubt("the memory at \(error.address.rawValue.hexadecimal) is not known")
      case .walk(let walk):
        guard error.isDefinite else {
          throw .doubt("whether \(error.address.rawValue.hexadecimal) can be read is not known")
        }
        guard let access = FailedAccess(walk) else {
          throw blocked(kind, "\(words): the address is not canonical (#GP)", remedy: remedy, by: .generalProtection)
        }
        throw blocked(kind, "\(words) (#PF, \(access.errorCode.words))", remedy: remedy, by: .pageFault, access)
      }
    }
  }

  // MARK: The code segment

  private static func entry(
    through gate: InterruptGate, of vector: ExceptionVector, at instant: Instant
  ) throws(Blockage) -> LinearAddress {
    let name = "its gate's selector \(gate.selector.rawValue.hexadecimal)"
    let remedy =
      "put the selector of a present code segment of the kernel into the gates, and keep that descriptor in the GDT"
    func refused(_ why: String, _ exception: ExceptionVector = .generalProtection, _ access: FailedAccess? = nil)
      -> Blockage
    {
      blocked(.gateSelector, "\(name) \(why) (\(exception.name))", remedy: remedy, by: exception, access)
    }
    guard !gate.selector.isNull else { throw refused("is null") }
    let descriptor: SegmentDescriptor
    switch instant.descriptor(gate.selector) {
    case .found(let found): descriptor = found
    case .beyond(let limit): throw refused("lies beyond the limit of its table, \(limit.hexadecimal)")
    case .notMapped(let access): throw refused("names an entry that is not mapped", .pageFault, access)
    case .outsideMemory(let address):
      throw refused("names an entry at \(address.rawValue.hexadecimal), where there is no memory")
    case .unknown(let reason): throw .doubt(reason)
    }
    let granted = descriptor.attributes.descriptorPrivilegeLevel
    guard descriptor.isCode, granted <= instant.currentPrivilegeLevel else {
      throw refused(descriptor.isCode ? "names a code segment of a higher CPL" : "names no code segment")
    }
    guard descriptor.attributes.contains(.present) else {
      throw refused("names a segment that is not present", .segmentNotPresent)
    }
    if gate.isLongMode, !descriptor.attributes.contains(.long) || descriptor.attributes.contains(.big) {
      throw refused("names a code segment that is not of 64 bits")
    }
    let isConforming = descriptor.attributes.contains(.expandDownOrConforming)
    let level = isConforming ? instant.currentPrivilegeLevel : granted
    if instant.state.mode == .virtual8086, level != 0 {
      throw refused("names a code segment that is not of CPL 0 alone, as virtual-8086 mode needs")
    }
    try checkStack(of: gate, vector, level: level, at: instant)
    return LinearAddress(gate.isLongMode ? gate.offset : (descriptor.base &+ gate.offset) & 0xFFFF_FFFF)
  }

  // MARK: The stack

  /// Whether a call gate to an inner level finds its stack: SS and ESP, the parameters, CS and EIP are pushed there (SDM vol. 2, CALL; vol. 3, 5.8.5).
  ///
  /// - Parameters:
  ///   - count: How many words are pushed, of `width` bytes each; 8 is long mode's.
  static func stackOfCallGate(toLevel level: Int, pushing count: Int, width: Int, at instant: Instant) -> GateStack {
    do throws(Blockage) {
      let isLong = width == 8
      func check() throws(Blockage) {
        let stack =
          isLong
          ? try longModeStack(0, level: level, at: instant) : try protectedModeStack(level: level, at: instant)
        try checkPushes(count: count, width: width, below: stack.pointer, stack, at: instant)
      }
      guard instant.state.tr.selector.isNull else {
        try check()
        return .usable
      }
      try withoutTask(isLong ? "RSP\(level)" : "ESP\(level)", check)
      return .usable
    } catch {
      switch error {
      case .obstacle(let obstacle): return .refused(obstacle)
      case .doubt(let reason): return .unknown(reason)
      }
    }
  }

  /// The stack to which a call gate leads.
  enum GateStack {
    case usable
    case refused(Obstacle)
    case unknown(String)
  }

  private static func checkStack(
    of gate: InterruptGate, _ vector: ExceptionVector, level: Int, at instant: Instant
  ) throws(Blockage) {
    let usesTSS = gate.interruptStackTable != 0 || level < instant.currentPrivilegeLevel
    guard usesTSS, instant.state.tr.selector.isNull else {
      return try checkFrame(of: gate, vector, level: level, at: instant)
    }
    // The processor reads the stack pointer from wherever TR's base is, as a reset left it.
    let name = gate.interruptStackTable != 0 ? "IST\(gate.interruptStackTable)" : "RSP\(level)"
    try withoutTask(name) { () throws(Blockage) in try checkFrame(of: gate, vector, level: level, at: instant) }
  }

  /// What a stack of the TSS comes to where TR was never loaded.
  private static func withoutTask(_ name: String, _ check: () throws(Blockage) -> Void) throws(Blockage) {
    let remedy = "load TR (LTR) with a TSS of 104 bytes or more"
    do throws(Blockage) {
      try check()
    } catch {
      guard case .obstacle(let obstacle) = error else { throw error }
      throw blocked(
        .tssMissing, "it needs the stack \(name), and TR was never loaded (selector 0): \(obstacle.words)",
        remedy: remedy,
        by: obstacle.exception, obstacle.access)
    }
    throw blocked(
      .tssMissing, "it needs the stack \(name), and TR holds no TSS (selector 0)", remedy: remedy, by: .invalidTSS)
  }

  private static func checkFrame(
    of gate: InterruptGate, _ vector: ExceptionVector, level: Int, at instant: Instant
  ) throws(Blockage) {
    // Out of virtual-8086 mode ES, DS, FS and GS are pushed besides (SDM vol. 3, 21.3.1).
    let segments = instant.state.mode == .virtual8086 ? 4 : 0
    let count =
      (level < instant.currentPrivilegeLevel || gate.isLongMode ? 5 : 3) + (vector.hasErrorCode ? 1 : 0) + segments
    if gate.isLongMode {
      let stack = try longModeStack(gate.interruptStackTable, level: level, at: instant)
      try checkPushes(count: count, width: 8, below: stack.pointer & ~0xF, stack, at: instant)
    } else {
      let stack = try protectedModeStack(level: level, at: instant)
      try checkPushes(count: count, width: gate.is16Bit ? 2 : 4, below: stack.pointer, stack, at: instant)
    }
  }

  private struct Stack {
    var pointer: UInt64
    /// The base of its segment.
    var base: UInt64 = 0
    /// `the stack`, `IST1`, `RSP0`.
    var name: String
    var kind: HandlerObstacle
  }

  /// IST, else the TSS's pointer of the inner level, else the current stack (SDM vol. 3, 6.14.2, 6.14.5).
  private static func longModeStack(
    _ interruptStack: Int, level: Int, at instant: Instant
  ) throws(Blockage) -> Stack {
    let state = instant.state
    let tss = TaskStateSegment(base: LinearAddress(state.tr.base))
    if interruptStack != 0 {
      let name = "IST\(interruptStack)"
      return Stack(
        pointer: try stackPointer(name, at: tss.stackPointerAddress(ofInterruptStack: interruptStack), instant),
        name: name, kind: .interruptStack)
    }
    guard level < instant.currentPrivilegeLevel else {
      return Stack(pointer: state.generalPurpose.rsp, name: "the stack", kind: .stackNotWritable)
    }
    let name = "RSP\(level)"
    return Stack(
      pointer: try stackPointer(name, at: tss.stackPointerAddress(ofPrivilegeLevel: level), instant), name: name,
      kind: .kernelStack)
  }

  /// The current stack, or that of the inner level in a TSS of protected mode (SDM vol. 3, 8.2.1 and 6.12.1).
  private static func protectedModeStack(level: Int, at instant: Instant) throws(Blockage) -> Stack {
    let state = instant.state
    guard level < instant.currentPrivilegeLevel else {
      let pointer = state.generalPurpose.rsp & (state.ss.attributes.contains(.big) ? 0xFFFF_FFFF : 0xFFFF)
      return Stack(pointer: pointer, base: state.ss.base, name: "the stack", kind: .stackNotWritable)
    }
    guard [9, 11].contains(state.tr.attributes.type) else { throw .doubt("a TSS of 16 bits is not followed") }
    let name = "ESP\(level)"
    let words = try stackPointer(name, at: LinearAddress(state.tr.base &+ 4 &+ 8 &* UInt64(level)), instant)
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: words >> 32))
    let judgement = selector.isNull ? .refused(.isNull) : instant.judge(selector, for: .ss, atLevel: level)
    if case .unknown(let reason) = judgement { throw .doubt(reason) }
    guard case .loadable(let descriptor?) = judgement else {
      throw blocked(
        .kernelStack,
        "SS\(level) of the TSS, \(selector.rawValue.hexadecimal), names no stack segment of CPL \(level) (#TS)",
        remedy: "put the selector of the kernel's data segment into SS\(level) of the TSS", by: .invalidTSS)
    }
    return Stack(pointer: words & 0xFFFF_FFFF, base: descriptor.base, name: name, kind: .kernelStack)
  }

  private static func stackPointer(
    _ name: String, at address: LinearAddress, _ instant: Instant
  ) throws(Blockage) -> UInt64 {
    let register = instant.state.tr
    let end = address.rawValue &- register.base &+ 7
    guard end <= UInt64(register.limit) else {
      throw blocked(
        .tssMissing,
        "it needs the stack \(name), and TR holds no TSS that has it (selector \(register.selector.rawValue.hexadecimal), limit "
          + "\(register.limit.hexadecimal)) (#TS)", remedy: "load TR (LTR) with a TSS of 104 bytes or more",
        by: .invalidTSS)
    }
    return try word(
      at: address, instant, or: .tssNotMapped,
      "the stack pointer \(name) in the TSS at "
        + "\(address.rawValue.hexadecimal) cannot be read", remedy: "map the TSS in every address space")
  }

  /// The first push and the last, which may lie on two pages.
  private static func checkPushes(
    count: Int, width: Int, below top: UInt64, _ stack: Stack, at instant: Instant
  ) throws(Blockage) {
    let isLong = width == 8
    let places = [UInt64(width), UInt64(count * width)].map { depth in
      LinearAddress(isLong ? top &- depth : (stack.base &+ (top &- depth)) & 0xFFFF_FFFF)
    }
    for place in places {
      switch instant.translate(place, for: PageAccess(.write, by: .implicitSupervisor), usesStackSegment: true) {
      case .physical: continue
      case .unknown(let reason): throw .doubt(reason)
      case .fails(let exception):
        let why = exception.access.map { "#PF, \($0.errorCode.words)" } ?? "\(exception.vector.name), not canonical"
        throw blocked(
          stack.kind,
          "its frame cannot be pushed on \(stack.name): RSP is \(stack.pointer.hexadecimal), and "
            + "\(place.rawValue.hexadecimal) cannot be written (\(why))",
          remedy: stack.name == "the stack"
            ? "keep RSP at the top of mapped, writable memory, and give #DF a stack of its own (IST)"
            : "put the top of a mapped, writable stack into \(stack.name) of the TSS",
          by: exception.access == nil ? .stackFault : .pageFault, exception.access)
      }
    }
  }
}

extension DescriptorTableRegister {
  /// IDTR as a reset leaves it.
  fileprivate static let ofRealMode = Self(base: LinearAddress(0), limit: 0x3FF)
}
