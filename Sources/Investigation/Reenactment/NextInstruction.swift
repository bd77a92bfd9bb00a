import GuestImage
import X86

/// What the processor must do next, worked out from its registers and memory: fetch the instruction at RIP, decode it,
/// and access its operands.
struct NextInstruction {
  /// What comes of it.
  enum Outcome {
    /// An access fails: a page fault.
    case pageFault(FailedAccess)
    /// Nothing in the fetch and the operands' translation stops the instruction.
    case proceeds
    /// What is known does not decide it.
    case undetermined(String)
  }

  /// The decoded instruction; nil where its bytes could not be had.
  private(set) var instruction: Instruction?
  private(set) var outcome: Outcome

  /// - Parameters:
  ///   - state: The registers before the instruction.
  ///   - rules: What is known of the walker.
  init(of state: ProcessorState, in memory: some PhysicalMemory, rules: PagingRules) {
    guard let paging = Paging(state, rules: rules) else {
      outcome = .undetermined("EFER is not known, which tells PAE paging from long mode's")
      return
    }
    let fetch = Fetch(at: state.instructionAddress, by: state.supervisorOrUser, through: paging, from: memory)
    instruction = try? Instruction.decodeNext(fetch.bytes, in: state)
    guard let instruction else {
      outcome = fetch.end ?? .undetermined("the bytes at RIP are no instruction")
      return
    }
    outcome = Self.operands(of: instruction, in: state, through: paging, from: memory)
  }

  /// The first operand, in the order of the decoder, that cannot be accessed.
  private static func operands(
    of instruction: Instruction, in state: ProcessorState, through paging: Paging, from memory: some PhysicalMemory
  ) -> Outcome {
    for operand in instruction.memoryOperands where operand.memory?.purpose == .access {
      guard let address = instruction.linearAddress(of: operand, in: state) else { continue }
      let access = PageAccess(operand.isWrite ? .write : .read, by: state.supervisorOrUser)
      switch paging.translate(address, for: access, in: memory) {
      case .physical: continue
      case .failed(let outcome): return outcome
      }
    }
    return .proceeds
  }
}

extension NextInstruction {
  /// The two bytes before RIP and the two from RIP on; nil where either cannot be read.
  static func bytesAround(
    _ state: ProcessorState, in memory: some PhysicalMemory
  ) -> (before: [UInt8], after: [UInt8])? {
    // No entry of the tables is judged here, so no rule can matter.
    guard let paging = Paging(state, rules: PagingRules()) else { return nil }
    let pointer = state.instructionAddress.rawValue
    let parts = [pointer &- 2, pointer].map { start -> [UInt8]? in
      let access = PageAccess(.read, by: .supervisor)
      guard case .physical(let physical) = paging.translate(LinearAddress(start), for: access, in: memory) else {
        return nil
      }
      return try? memory.bytes(at: physical, count: 2)
    }
    guard let before = parts[0], let after = parts[1] else { return nil }
    return (before, after)
  }
}

extension ProcessorState {
  /// Who makes this processor's explicit accesses: the user at CPL 3.
  fileprivate var supervisorOrUser: PageAccess.Privilege {
    (currentPrivilegeLevel ?? cs.selector.requestedPrivilegeLevel) == 3 ? .user : .supervisor
  }
}

/// Where a linear address leads, or what becomes of the instruction that uses it.
private enum Translated {
  case physical(PhysicalAddress)
  case failed(NextInstruction.Outcome)
}

extension Paging {
  fileprivate func translate(
    _ address: LinearAddress, for access: PageAccess, in memory: some PhysicalMemory
  ) -> Translated {
    let walk = walk(address, for: access, in: memory)
    switch walk.outcome {
    case .translated(let translation): return .physical(translation.physicalAddress)
    case .pageFault:
      guard let failed = FailedAccess(walk) else { return .failed(.undetermined("the walk has no end")) }
      return .failed(.pageFault(failed))
    case .unpaged(let physical): return .physical(physical)
    case .pdpteNotLoadable:
      return .failed(.undetermined("the page-directory-pointer-table registers are not known"))
    case .notCanonical:
      return .failed(.undetermined("\(address.rawValue.hexadecimal) is not canonical"))
    case .undetermined(let doubt, at: let structure):
      return .failed(.undetermined("the walk of \(address.rawValue.hexadecimal): \(doubt.words(at: structure))"))
    }
  }
}

/// The bytes of the next instruction, fetched page by page.
private struct Fetch {
  /// An instruction has at most 15 bytes (SDM vol. 2, 2.3.11).
  private static let longestInstruction: UInt64 = 15

  private(set) var bytes: [UInt8] = []
  /// Why no more bytes could be fetched; nil if all 15 were.
  private(set) var end: NextInstruction.Outcome?

  init(
    at start: LinearAddress, by privilege: PageAccess.Privilege, through paging: Paging,
    from memory: some PhysicalMemory
  ) {
    while UInt64(bytes.count) < Self.longestInstruction {
      let address = LinearAddress(start.rawValue &+ UInt64(bytes.count))
      let untilPageEnd = 0x1000 - address.rawValue & 0xFFF
      let count = min(Self.longestInstruction - UInt64(bytes.count), untilPageEnd)
      switch paging.translate(address, for: PageAccess(.fetch, by: privilege), in: memory) {
      case .physical(let physical):
        guard let part = try? memory.bytes(at: physical, count: Int(count)) else {
          end = .undetermined("the memory at physical \(physical.rawValue.hexadecimal), where RIP leads, is not known")
          return
        }
        bytes += part
      case .failed(let outcome):
        end = outcome
        return
      }
    }
  }
}

extension PhysicalMemory {
  /// `count` bytes from `address` on.
  func bytes(at address: PhysicalAddress, count: Int) throws(UnavailableMemory) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try read(address, into: &span)
    return bytes
  }
}

extension PageWalk.Doubt {
  /// Why a walk stopped without an answer.
  func words(at structure: PagingStructure) -> String {
    switch self {
    case .reservedBits(let violations):
      "nothing tells whether \(bitNames(violations.reduce(0) { $0 | $1.bits })) of the \(structure.entryName) "
        + "\(violations.entry.rawValue.hexadecimal) may be set"
    case .tableUnavailable(let memory):
      "the \(structure.longName) at physical \(memory.address.rawValue.hexadecimal) is not known"
    case .protectionKey(let key): "the rights of protection key \(key) are not known"
    }
  }
}
