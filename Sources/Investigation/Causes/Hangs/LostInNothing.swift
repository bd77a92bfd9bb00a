import GuestImage
import X86

/// `execution.outside-ram` or `execution.zeroes` of a guest that goes on through nothing: TCG reads zeroes where no memory is, and zeroes are instructions.
///
/// Translated two bytes at a time, the way through a machine's memory takes TCG minutes.
struct LostInNothing: CauseOfHang {
  /// It may yet come to something.
  let confidence = Confidence.likely
  private let pointer: LinearAddress
  private let place: RunningAstray.Place
  private let looks: Int
  /// What called, if the top of the stack tells.
  private let caller: String

  /// At how many looks the processor must have been there.
  private static let leastLooks = 3

  /// The one processor that runs was among zeroes, or where nothing answers, whenever it was looked at, and nothing but RIP has changed.
  init?(_ hang: Hang) {
    let scene = hang.scene
    guard scene.watched.count >= Self.leastLooks, hang.started.count == 1, let last = hang.started.first?.processor
    else { return nil }
    let states = scene.watched.compactMap { $0.processors.first { $0.index == last.index } }
    guard states.count == scene.watched.count, Set(states.map(\.state.generalPurpose)).count == 1,
      states.allSatisfy({ Self.place(of: $0, in: scene) != nil }), let place = Self.place(of: last, in: scene)
    else { return nil }
    self.place = place
    pointer = last.state.instructionAddress
    looks = states.count
    caller =
      scene.instant(of: last).callerOnStack.map { address in
        let symbol = scene.image?.symbol(containing: LinearAddress(address)).map { " (\($0))" } ?? ""
        return
          " On top of the stack is \(address.hexadecimal)\(symbol), and a CALL lies in front of that: it led there."
      } ?? ""
  }

  private static func place(of processor: ObservedProcessor, in scene: Scene) -> RunningAstray.Place? {
    guard let (_, place) = RunningAstray.place(of: scene.instant(of: processor)) else { return nil }
    if case .outside(let memory) = place, memory.reason != .unbacked { return nil }
    return place
  }

  var id: String { place.cause.id }
  var title: String { place.cause.title }

  var summary: String {
    switch place {
    case .zeroes:
      "The bytes around RIP (\(pointer.rawValue.hexadecimal)) are zeroes, as at each of \(looks) looks, and nothing but RIP has changed. Zeroes are `add [rax], al` to the processor: "
        + "it goes on through empty memory.\(caller)"
    case .outside(let memory):
      "RIP is \(pointer.rawValue.hexadecimal), which is physical \(memory.address.rawValue.hexadecimal), and no memory is there; there was nothing at each of \(looks) looks. What TCG reads "
        + "there are zeroes, which are `add [rax], al`: the processor goes on through nothing. KVM and a real machine stop or fault at once.\(caller)"
    }
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out what jumped there: a function pointer that was never set, a return address that was overwritten, an entry point that was not loaded, an "
          + "address that is only valid with paging", "No code that is meant lies there.")
    ]
  }
}

extension Instant {
  /// The address on top of the stack, if a CALL lies right in front of it: that of a call that has not returned.
  var callerOnStack: UInt64? {
    guard let address = wordOnStack(0) else { return nil }
    let read = PageAccess(.read, by: .supervisor)
    // CALL has 2 to 7 bytes, with REX 8 (SDM vol. 2, CALL).
    return (2...8).contains { length in
      let start = state.cs.base &+ address &- UInt64(length)
      let code = bytes(at: LinearAddress(start), count: length, for: read)
      guard code.count == length, let instruction = try? Instruction.decode(code, at: start, mode: state.mode) else {
        return false
      }
      return instruction.mnemonic == "call" && instruction.length == length
    } ? address : nil
  }

  /// Whether RET has led to RIP: no call left its return address on the stack, and right below its top lies RIP, where RET has taken it from.
  var hasReturned: Bool { callerOnStack == nil && wordOnStack(0) != nil && wordOnStack(-1) == state.rip }

  /// A word of the stack, counted from its top.
  private func wordOnStack(_ number: Int) -> UInt64? {
    let width =
      switch state.mode {
      case .long64: 8
      case .protected(bits: 32): 4
      default: 0
      }
    let address = state.stackAddress &+ UInt64(bitPattern: Int64(number * width))
    let word = bytes(at: LinearAddress(address), count: width, for: PageAccess(.read, by: .supervisor))
    return width > 0 && word.count == width ? UInt64(littleEndian: word[...]) : nil
  }
}
