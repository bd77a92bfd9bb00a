import GuestImage
import QEMU
import X86

/// What a triple fault in a log of `-d int` began with, and what came of it.
///
/// TCG logs each event that it tries to deliver, with its instruction's address. One that was handled leaves no mark, so that only those before
/// the last count which the next shows not to have been: a device's interrupt or INT n begins a chain, and so does an exception that nothing says
/// was raised while another was delivered.
struct LoggedChain {
  /// The first event.
  var first: LoggedDelivery
  /// What was raised while it was being delivered; nil where the log shows nothing.
  var second: LoggedDelivery?
  /// The event before the first, which was delivered.
  var before: LoggedDelivery?
  /// How many events up to the first are one, each delivered at the same place on top of the frame of the one before it; 1 where none is.
  var nesting: Nesting
  /// Whether the instruction at hand cannot have raised the second event itself, after a handler of the first had returned to it.
  var isDeliveryCertain: Bool

  /// Nil where the log ends in no triple fault, or does not show what it began with.
  init?(_ scene: Scene) {
    guard var deliveries = Self.deliveries(in: scene) else { return nil }
    // The registers of the death may be known from elsewhere.
    for index in deliveries.indices where deliveries[index].state == nil {
      deliveries[index].state =
        scene.processors.first { $0.state.instructionAddress.rawValue == deliveries[index].pointer }?
        .state
    }
    guard var index = deliveries.indices.last else { return nil }
    var isCertain = true
    while deliveries[index].event == nil, index > deliveries.startIndex {
      let relation = Interruption(of: deliveries[index - 1], by: deliveries[index], in: scene)
      guard relation != .no else { break }
      index -= 1
      isCertain = relation == .certain
    }
    first = deliveries[index]
    guard first.event != nil || first.vector != .doubleFault else { return nil }
    second = index + 1 < deliveries.endIndex ? deliveries[index + 1] : nil
    before = index > deliveries.startIndex ? deliveries[index - 1] : nil
    nesting = Nesting(deliveries[...index])
    isDeliveryCertain = isCertain
  }

  /// The events of the run that the log ends with, up to its triple fault.
  private static func deliveries(in scene: Scene) -> [LoggedDelivery]? {
    let log = scene.log
    if let end = log.lastIndex(where: \.value.isShutdown) {
      // With `-d int` alone the last check tells of the triple fault, and none of it may be in front of the next run.
      let start = log[..<end].lastIndex { $0.value == .tripleFault } ?? log.startIndex
      return LoggedDelivery.all(in: log[start...end])
    }
    return scene.undeliverableException.map { _ in LoggedDelivery.all(in: log) }
  }
}

/// Events of one vector that a log shows one after another, none of which was returned from: the stack pointer falls by the same amount each time.
struct Nesting {
  var vector: ExceptionVector
  var count: Int
  /// By how many bytes the stack pointer falls from one to the next.
  var distance: UInt64
  /// Where each came.
  var pointer: UInt64

  /// The run that `deliveries` ends with.
  fileprivate init(_ deliveries: ArraySlice<LoggedDelivery>) {
    let last = deliveries.last
    vector = last?.vector ?? .divideError
    pointer = last?.pointer ?? 0
    (count, distance) = (1, 0)
    var next = last
    for earlier in deliveries.dropLast().reversed() {
      guard let later = next, earlier.vector == later.vector, earlier.pointer == later.pointer,
        earlier.isOfDevice == later.isOfDevice, earlier.interrupt.isSoftware == later.interrupt.isSoftware,
        earlier.interrupt.currentPrivilegeLevel == 0, later.interrupt.currentPrivilegeLevel == 0,
        let high = earlier.interrupt.stackPointer, let low = later.interrupt.stackPointer, high > low,
        distance == 0 || distance == high - low
      else { return }
      distance = high - low
      count += 1
      next = earlier
    }
  }
}

/// Whether an event was raised while another was being delivered.
private enum Interruption {
  case certain
  /// Or else the first was handled, and the instruction itself raised the second.
  case likely
  case no

  init(of earlier: LoggedDelivery, by later: LoggedDelivery, in scene: Scene) {
    guard later.event == nil, later.isAtPlace(of: earlier) else {
      self = .no
      return
    }
    // `check_exception old: 0xd new 0xd` stands in front of what comes of the two.
    if let interrupted = later.interrupted, earlier.event == nil {
      self = interrupted == earlier.vector ? .certain : .no
    } else if later.names(gateOf: earlier.vector) || earlier.event.map(\.isSoftware) == true {
      self = .certain
    } else if earlier.event != nil {
      self = Self.device(earlier, later, in: scene)
    } else {
      self = Self.exception(earlier, later)
    }
  }

  /// A benign exception, which TCG does not say to have been interrupted.
  private static func exception(_ earlier: LoggedDelivery, _ later: LoggedDelivery) -> Interruption {
    switch later.vector {
    case .generalProtection: .no
    case .segmentNotPresent, .stackFault, .invalidTSS: later.interrupt.errorCode & 2 == 0 ? .certain : .no
    case .pageFault: later.readsGate(of: nil) ? .certain : .no
    default: .no
    }
  }

  /// After a device's interrupt that was handled, all is as it was before.
  private static func device(
    _ earlier: LoggedDelivery, _ later: LoggedDelivery, in scene: Scene
  ) -> Interruption {
    if later.readsGate(of: earlier.vector) { return .certain }
    if later.isImplicitAccessOfUser { return .certain }
    guard let state = earlier.state, let instruction = scene.instructionAsListed(at: earlier.pointer, state) else {
      return .likely
    }
    return instruction.mayRaise(later, in: state) ? .no : .certain
  }
}

extension LoggedDelivery {
  /// Whether it is a page fault at the IDT's entry of `vector`, or anywhere in the IDT.
  func readsGate(of vector: ExceptionVector?) -> Bool {
    guard self.vector == .pageFault, let address = interrupt.cr2, let state else { return false }
    let offset = address &- state.idtr.base.rawValue
    guard let vector else { return offset <= UInt64(state.idtr.limit) }
    let size: UInt64 = state.isLongModeActive ? 16 : 8
    return offset / size == UInt64(vector.rawValue)
  }

  /// Whether it is a page fault of a supervisor's access at CPL 3: of the processor's own, to a descriptor table, the TSS or a new stack.
  fileprivate var isImplicitAccessOfUser: Bool {
    vector == .pageFault && interrupt.currentPrivilegeLevel == 3
      && !PageFaultErrorCode(rawValue: interrupt.errorCode).contains(.user)
  }
}

extension Instruction {
  private var accessedOperands: [Operand] { memoryOperands.filter { $0.memory?.purpose != .addressOnly } }

  /// Whether an operand of it may lie at an address, in doubt.
  func mayAccess(_ address: LinearAddress, in state: ProcessorState) -> Bool {
    accessedOperands.contains { operand in
      guard let start = linearAddress(of: operand, in: state) else { return true }
      return address.rawValue &- start.rawValue < UInt64(max(operand.size, 1))
    }
  }

  /// Whether it may raise a logged exception itself, in doubt.
  fileprivate func mayRaise(_ exception: LoggedDelivery, in state: ProcessorState) -> Bool {
    let accesses = accessedOperands
    switch exception.vector {
    case .pageFault:
      guard let address = exception.interrupt.cr2, address != exception.pointer, !loadsSelector else { return true }
      return mayAccess(LinearAddress(address), in: state)
    case .segmentNotPresent, .invalidTSS: return loadsSelector
    case .generalProtection where exception.selector != nil: return loadsSelector
    case .stackFault where state.mode == .long64:
      let unused: Int64 = state.cr4.contains(.linearAddress57) ? 7 : 16
      return loadsSelector
        || accesses.contains { operand in
          linearAddress(of: operand, in: state).map { !Paging.isCanonical($0, unusedBits: unused) } ?? true
        }
    default: return loadsSelector || isPrivileged || !accesses.isEmpty || !Self.harmless.contains(mnemonic)
    }
  }

  /// Instructions that raise nothing but what their operands in memory do.
  private static let harmless: Set<String> = [
    "jmp", "jz", "jnz", "nop", "pause", "mov", "add", "sub", "inc", "dec", "cmp", "test", "xor", "and", "or", "lea",
    "shl",
    "shr",
  ]

  /// Whether it may load a segment register, LDTR or TR.
  var loadsSelector: Bool {
    if isFarBranch || mnemonic.hasPrefix("iret") || mnemonic == "lldt" || mnemonic == "ltr" { return true }
    guard ["mov", "pop"].contains(mnemonic), case .register(.segment)? = operands.first?.value else {
      return ["lds", "les", "lfs", "lgs", "lss"].contains(mnemonic)
    }
    return true
  }
}

extension Scene {
  /// The instruction at an address as a listing beside the log or the guest's image has it; nil where neither does.
  func instructionAsListed(at address: UInt64, _ state: ProcessorState) -> Instruction? {
    guard let bytes = codeAsListed(at: address), !bytes.isEmpty else { return nil }
    return try? Instruction.decode(bytes, at: address, mode: state.mode)
  }

  /// The bytes at an address as a listing beside the log or the guest's image has them; nil where neither does.
  func codeAsListed(at address: UInt64) -> [UInt8]? {
    let loaded = image.flatMap { image in
      image.place(of: address).map { image.bytes(atVirtual: $0.virtual, count: 15) }
    }
    guard let listed = listedCode(address)?.from else { return loaded }
    // TCG lists of an opcode that it does not know only what it read before it gave up.
    guard let loaded, loaded.count > listed.count, loaded.starts(with: listed) else { return listed }
    return loaded
  }

  /// The `count` bytes in front of an address as listings beside the log have them, or the guest's image; none where neither has all.
  func codeAsListed(inFrontOf address: UInt64, count: Int) -> [UInt8] {
    let listed = codeAsListed(before: address, count: count)
    guard listed.count < count else { return listed }
    guard let image, let place = image.place(of: address &- UInt64(count)) else { return [] }
    let loaded = image.bytes(atVirtual: place.virtual, count: count)
    return loaded.count == count ? loaded : []
  }

  /// The bytes in front of an address as listings beside the log have them, as far back as they are without gaps, at most `count`.
  func codeAsListed(before address: UInt64, count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var end = address
    let listings = log.lazy.reversed().compactMap { entry -> CodeListing? in
      if case .codeListing(let listing) = entry.value { listing } else { nil }
    }
    while bytes.count < count, let part = listings.map({ $0.bytes(before: end) }).first(where: { !$0.isEmpty }) {
      bytes = part + bytes
      end &-= UInt64(part.count)
    }
    return bytes.suffix(count)
  }
}

extension Scene {
  var loggedChain: LoggedChain? { LoggedChain(self) }

  /// What a log of TCG would tell with the code that was executed; nil where it has that, or is none.
  var missingListing: Missing? {
    let hasEvents = log.contains { entry in
      switch entry.value {
      case .interrupt, .exceptionCheck, .cpuReset: true
      default: false
      }
    }
    let hasListing = log.contains { entry in
      if case .codeListing(let listing) = entry.value { listing.isOfGuest } else { false }
    }
    guard memory == nil, trace.isEmpty, hasEvents, !hasListing else { return nil }
    return Missing(
      what: "the code that was executed, and the memory",
      how: "qemu-system-x86_64 … -d int,cpu_reset,in_asm -D FILE, or better: inquest run -- qemu-system-x86_64 …")
  }
}
