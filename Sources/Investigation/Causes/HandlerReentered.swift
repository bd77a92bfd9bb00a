import X86

/// `interrupt.reentered`, `interrupt.handler-faults`: the stack is full of frames of one handler, which was interrupted at the same place each
/// time, or a log shows that it was.
struct HandlerReentered: CauseOfDeath {
  static let manuals = [ManualPage(id: faultingID, title: faultingTitle, text: manual, refines: [PageNotMapped.id])]

  private static let faultingID = "interrupt.handler-faults"
  private static let faultingTitle = "The handler of an exception raises it itself"

  private let fault: FirstFault
  private let frames: NestedFrames
  /// Whether the instruction at RIP raised each of them; if not, interrupts came.
  private let isOfException: Bool
  /// The vectors whose gates lead to shortly before the place.
  private let vectors: [ExceptionVector]

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let instant = fault.instant,
      let frames = NestedFrames(at: instant) ?? fault.nesting.flatMap(NestedFrames.init(logged:))
    else { return nil }
    let isStackFull: Bool
    switch fault.exception.reason {
    case .undeliverable(let event, let obstacle):
      isStackFull = obstacle.kind == .stackNotWritable && event.hardwareVector != nil
    case .access(let access): isStackFull = fault.isStackAccess(access.address)
    default: isStackFull = false
    }
    isOfException = !isStackFull && frames.instructionPointer == instant.state.rip
    guard isStackFull || isOfException else { return nil }
    // IRET that takes a misplaced frame is a mistake of its own, however often it was made.
    if isOfException, BadReturnFrame(fault, in: scene) != nil { return nil }
    self.fault = fault
    self.frames = frames
    vectors = frames.vector.map { [$0] } ?? Self.vectors(leadingTo: frames.instructionPointer, at: instant)
  }

  /// A handler is rarely longer; the closest gate below counts.
  private static let longestHandler: UInt64 = 0x1000

  private static func vectors(leadingTo pointer: UInt64, at instant: Instant) -> [ExceptionVector] {
    let targets = (0...UInt8.max).map(ExceptionVector.init).compactMap { vector -> (ExceptionVector, UInt64)? in
      guard let target = HandlerPath.target(of: vector, at: instant), pointer &- target.rawValue < longestHandler
      else { return nil }
      return (vector, target.rawValue)
    }
    let closest = targets.map(\.1).max()
    return targets.filter { $0.1 == closest }.map(\.0)
  }

  var id: String { isOfException ? Self.faultingID : ReenteredInterrupt.id }
  var title: String { isOfException ? Self.faultingTitle : ReenteredInterrupt.title }

  /// Which device it was, registers do not tell.
  var isDecided: Bool { isOfException || frames.vector != nil }

  private var handler: String {
    vectors.isEmpty || vectors.count > 4
      ? "a handler" : "the handler of \(vectors.map(\.name).joined(separator: ", "))"
  }

  private var stack: String {
    guard frames.vector == nil else {
      return
        "the log shows it \(frames.count) times at \(frames.instructionPointer.hexadecimal), one right after the other, SP \(frames.distance) bytes lower each time: none returned"
    }
    return
      "\(frames.count) frames or more lie on the stack one on top of the other, \(frames.distance) bytes apart, each with RIP \(frames.instructionPointer.hexadecimal), in \(handler)"
  }

  var summary: String {
    if !isOfException, let vector = frames.vector {
      return
        "Hardware interrupt \(vector.rawValue.hexadecimal) came into its own handler: \(stack). The handler turns interrupts on before the device is served, until the stack is used up and a push fails."
    }
    return isOfException
      ? "\(fault.instructionName) raises \(fault.exception.name), as it did before: \(stack). The handler itself raises the exception, until the stack is used up."
      : "\(stack): interrupts came one into the other, each before the last was done, until the stack was used up and a push failed."
  }

  var remedies: [Remedy] {
    isOfException
      ? [
        .guest(
          "let the handler use nothing that can raise its own exception: its data mapped in every address space, its stack (IST) its own",
          "The first fault may be harmless; what the handler does is not.")
      ]
      : [
        .guest(
          "serve the device before interrupts are turned on again (STI), EOI or not; or leave them off in the handler",
          "A level-triggered line stays raised until the device lets go of it.")
      ]
  }

  static let manual = """
    The handler of an exception executes an instruction that raises the same exception. That calls the handler again, on top of the last frame, and
    so on until the stack is used up: then the frame cannot be pushed, and with no other stack for #DF that is a triple fault.

    ## How to recognise it

    RIP is in a handler; the stack holds frame upon frame with that same RIP. With `-d int` the same exception at the same place many times, SP
    lower by the same amount each time.

    ## Why

    A handler of #PF that reads a table, prints, or follows a pointer that is not mapped in this address space; a handler of #GP that uses SSE,
    or a segment that is not loaded; a panic that panics.

    ## The cure

    What handlers need is mapped in every address space. A counter that ends the recursion at the second time tells what the first was.

    SDM vol. 3, 6.15.
    """
}

/// Frames of interrupts or exceptions in 64-bit or protected mode (by 32-bit gates) that lie one on top of the other on the stack, all of the same place; or as a log shows them to
/// be pushed.
struct NestedFrames {
  /// The event of which a log shows them.
  var vector: ExceptionVector?
  let instructionPointer: UInt64
  /// From one to the next, in bytes.
  let distance: UInt64
  let count: Int

  /// Fewer may be a deep nesting that ends.
  private static let fewest = 16
  /// More need not be counted.
  private static let most = 64
  /// How far from RSP, or from the last frame, the next is looked for: a handler saves no more.
  fileprivate static let furthest: UInt64 = 0x400

  init?(logged nesting: Nesting) {
    guard nesting.count >= Self.fewest else { return nil }
    (vector, instructionPointer, distance, count) = (
      nesting.vector, nesting.pointer, nesting.distance, nesting.count
    )
  }

  init?(at instant: Instant) {
    guard let layout = Layout(instant.state),
      let first = layout.next(from: layout.aligned(instant.state.stackAddress), nil, instant),
      let second = layout.next(from: first.address &+ layout.wordSize, first.pointer, instant)
    else { return nil }
    let distance = second.address &- first.address
    var count = 2
    while count < Self.most,
      layout.pointer(ofFrameAt: first.address &+ UInt64(count) &* distance, instant) == first.pointer
    { count += 1 }
    guard count >= Self.fewest else { return nil }
    (instructionPointer, self.distance, self.count) = (first.pointer, distance, count)
  }

  /// What an event pushes where it changes no privilege level (SDM vol. 3, 6.12.1 and 6.14.2).
  private struct Layout {
    /// In bytes.
    let wordSize: UInt64
    /// Whether RSP and SS are pushed too: long mode always does.
    let hasStackPointer: Bool

    /// Nil in modes in which such frames are not looked for.
    init?(_ state: ProcessorState) {
      switch state.mode {
      case .long64: (wordSize, hasStackPointer) = (8, true)
      // The gate's size counts, not that of the code.
      case .protected: (wordSize, hasStackPointer) = (4, false)
      default: return nil
      }
    }

    func aligned(_ address: UInt64) -> UInt64 { address & ~(wordSize - 1) }

    func next(from start: UInt64, _ pointer: UInt64?, _ instant: Instant) -> (address: UInt64, pointer: UInt64)? {
      stride(from: UInt64(0), to: NestedFrames.furthest, by: UInt64.Stride(wordSize)).lazy
        .compactMap { offset -> (UInt64, UInt64)? in
          let address = start &+ offset
          guard let found = self.pointer(ofFrameAt: address, instant), pointer == nil || found == pointer else {
            return nil
          }
          return (address, found)
        }.first
    }

    /// RIP of the frame at `address`: RIP, CS, RFLAGS, with this CS; and an RSP that lies right above, SS.
    func pointer(ofFrameAt address: UInt64, _ instant: Instant) -> UInt64? {
      let size = Int(wordSize)
      let count = (hasStackPointer ? 5 : 3) * size
      let bytes = instant.bytes(at: LinearAddress(address), count: count, for: PageAccess(.read, by: .supervisor))
      guard bytes.count == count else { return nil }
      let words = stride(from: 0, to: count, by: size).map { UInt64(littleEndian: bytes[$0..<($0 + size)]) }
      guard words[1] == UInt64(instant.state.cs.selector.rawValue), words[2] & 2 != 0, words[2] & ~0x3F_7FD7 == 0,
        !hasStackPointer || words[3] &- address < NestedFrames.furthest && words[3] > address
      else { return nil }
      return words[0]
    }
  }
}
