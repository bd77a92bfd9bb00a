import GuestImage
public import X86

/// Whether the registers of a death under TCG can be those of the same guest's death under KVM, which cleared its own.
///
/// The memory that each left is all that there is to tell. What a stack holds is no measure by itself: values of time, and what firmware left,
/// differ from run to run, and KVM sets RFLAGS.RF in the frame of a fault that it injects, which TCG does not (Linux arch/x86/kvm/x86.c:
/// inject_pending_event, 6.1; target/i386/tcg/seg_helper.c: do_interrupt64, 7.2).
public struct SecondRunAgreement {
  /// What speaks against it, or that nothing tells how far each run got; nil where neither is so.
  public let disagreement: String?
  /// What speaks against it; nil where nothing does.
  let contradiction: String?

  /// - Parameters:
  ///   - scene: What is known of the first run, with its memory.
  ///   - processor: The processor at its death in the second run.
  ///   - memory: What the second run left.
  public init(_ scene: Scene, with processor: ObservedProcessor, in memory: any PhysicalMemory) {
    let comparison = Comparison(scene, processor, memory)
    contradiction =
      comparison.refusedRegister ?? comparison.differingPart ?? comparison.differingEnd
      ?? comparison.differingProgress
    disagreement = contradiction ?? comparison.lackOfMeasure
  }
}

/// Two memories, and one set of registers.
private struct Comparison {
  private let processor: ObservedProcessor
  private let first: Scene
  private let second: Scene

  private var state: ProcessorState { processor.state }

  init(_ scene: Scene, _ processor: ObservedProcessor, _ memory: any PhysicalMemory) {
    self.processor = processor
    first = scene
    var other = scene
    other.memory = memory
    second = other
  }

  /// TCG accepts what the first run's processor refuses: that run did not get here.
  var refusedRegister: String? {
    let instant = first.instant(of: processor)
    let registers: [(String, UInt64, RegisterBits)] = [
      ("CR4", state.cr4.rawValue, .cr4), ("EFER", state.efer?.rawValue ?? 0, .efer),
    ]
    return registers.lazy.compactMap { name, value, bits in
      bits.refusal(of: value, has: instant.has).map { refused, _ in
        "there \(name) is \(value.hexadecimal), and the first run's processor refuses \(bitNames(refused))"
      }
    }.first
  }

  // MARK: What catches an exception

  var differingPart: String? {
    let places: [(name: String, start: UInt64, count: Int)] = [
      ("GDT", state.gdtr.base.rawValue, min(Int(state.gdtr.limit) + 1, 256)),
      ("IDT", state.idtr.base.rawValue, min(Int(state.idtr.limit) + 1, 4096)),
    ]
    return places.first { $0.count > 1 && !isSame(at: $0.start, $0.count) }.map { "its \($0.name) differs there" }
  }

  private func isSame(at address: UInt64, _ count: Int) -> Bool {
    bytes(first, address, count) == bytes(second, address, count)
  }

  private func bytes(_ scene: Scene, _ address: UInt64, _ count: Int) -> [UInt8] {
    scene.instant(of: processor).bytes(
      at: LinearAddress(address), count: count, for: PageAccess(.read, by: .supervisor))
  }

  // MARK: What happens next

  /// What follows from the registers must be the same in both memories.
  var differingEnd: String? {
    let ends = [first, second].map { End(processor, in: $0) }
    return ends[0] == ends[1] ? nil : "what it died of there is not what follows from the memory here"
  }

  /// What the processor must do next, as far as it depends on memory.
  private struct End: Equatable {
    var instruction: Instruction?
    var exceptions: [RaisedException]
    var doubt: String?
    var obstacles: [Obstacle]

    struct Obstacle: Equatable {
      var vector: ExceptionVector
      var kind: HandlerObstacle
      var access: FailedAccess?
    }

    init(_ processor: ObservedProcessor, in scene: Scene) {
      let (next, delivery) = scene.reenact(processor)
      instruction = next.instruction
      exceptions = next.exceptions.map(\.withoutTraceOfAccesses)
      doubt = next.doubt
      obstacles = (delivery?.obstacles ?? []).map {
        Obstacle(vector: $0.vector, kind: $0.obstacle.kind, access: $0.obstacle.access?.withoutTraceOfAccesses)
      }
    }
  }

  // MARK: How far it got

  var differingProgress: String? {
    guard !isStackSame, case .differs(let address) = imageProgress else { return nil }
    return "its stack differs there, and one run has written to \(address.rawValue.hexadecimal), the other has not"
  }

  /// Code alone is the same in both memories wherever a run ended.
  var lackOfMeasure: String? {
    guard !isStackSame, case .unknown = imageProgress else { return nil }
    return stacks.allSatisfy(\.isEmpty)
      ? "it has no stack, and nothing else tells how far each run got" : "its stack differs there"
  }

  /// How much of the stack is compared: return addresses and what is saved beside them.
  private static let stackSize = 128

  private var stacks: [[UInt8]] { [first, second].map { bytes($0, state.stackAddress, Self.stackSize) } }

  /// Where neither run has a stack there is nothing to compare.
  private var isStackSame: Bool {
    let stacks = stacks
    return !stacks[0].isEmpty && stacks[0] == stacks[1]
  }

  private enum Progress {
    case same
    case differs(PhysicalAddress)
    case unknown
  }

  /// How much of a segment is compared.
  private static let mostCompared: UInt64 = 64 << 20
  private static let partSize: UInt64 = 0x1_0000

  /// Whether one run has written to a word of the image that the other has left as it was loaded. A word that both have written may well hold
  /// another value each time. An image that nobody has written to tells nothing.
  private var imageProgress: Progress {
    guard isImageWhereItIsLinked, let image = first.image else { return .unknown }
    var isWritten = false
    for segment in image.segments where segment.isWritable {
      let size = min(segment.memorySize, Self.mostCompared)
      for offset in stride(from: 0, to: size, by: UInt64.Stride(Self.partSize)) {
        let start = PhysicalAddress(segment.physicalAddress.rawValue &+ offset)
        let count = Int(min(size - offset, Self.partSize))
        guard let one = try? first.memory?.bytes(at: start, count: count),
          let other = try? second.memory?.bytes(at: start, count: count)
        else { return .unknown }
        let loaded = image.bytes(atPhysical: start, count: count)
        guard loaded.count == count else { return .unknown }
        if one != other, let place = Self.unevenWord(one, other, loaded) {
          return .differs(PhysicalAddress(start.rawValue &+ UInt64(place)))
        }
        isWritten = isWritten || one != loaded
      }
    }
    return isWritten ? .same : .unknown
  }

  /// Whether the image's code is at the physical address that it is linked for, in both memories.
  private var isImageWhereItIsLinked: Bool {
    guard let image = first.image, let place = image.place(of: state.instructionAddress.rawValue) ?? entry else {
      return false
    }
    let count = 32
    let expected = image.bytes(atPhysical: place.physical, count: count)
    guard expected.contains(where: { $0 != 0 }) else { return false }
    return [first, second].allSatisfy {
      (try? $0.memory?.bytes(at: place.physical, count: expected.count)) == expected
    }
  }

  private var entry: GuestImage.Place? { first.image.flatMap { $0.place(of: $0.entryPoint) } }

  /// The offset of the first word of eight bytes that differs, and is as it was loaded in one of both.
  private static func unevenWord(_ one: [UInt8], _ other: [UInt8], _ loaded: [UInt8]) -> Int? {
    stride(from: 0, to: one.count, by: 8).first { start in
      let word = start..<min(start + 8, one.count)
      return one[word] != other[word] && (one[word] == loaded[word] || other[word] == loaded[word])
    }
  }
}

extension RaisedException {
  /// The same whatever A and D say, which each walker sets in its own time.
  fileprivate var withoutTraceOfAccesses: RaisedException {
    guard case .access(let access) = reason else { return self }
    var exception = self
    exception.reason = .access(access.withoutTraceOfAccesses)
    return exception
  }
}

extension FailedAccess {
  fileprivate var withoutTraceOfAccesses: FailedAccess {
    var access = self
    for index in access.steps.indices {
      access.steps[index].entry = PageTableEntry(access.steps[index].entry.rawValue & ~Self.accessedAndDirty)
    }
    return access
  }

  /// A and D (SDM vol. 3, 4.5.4).
  private static let accessedAndDirty: UInt64 = 0x60
}
