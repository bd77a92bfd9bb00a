import GuestImage
import X86

/// `execution.code-overwritten`: what is executed lies in the image's code, and is not what the image has there.
struct OverwrittenCode: CauseOfDeath, SingleCause {
  static let id = "execution.code-overwritten"
  static let title = "The code was overwritten"

  private let fault: FirstFault
  private let found: ArraySlice<UInt8>
  private let expected: ArraySlice<UInt8>
  private let difference: Int
  /// Where the memory is as the image has it.
  private let intactAddress: LinearAddress

  /// How many bytes are compared before RIP, and from it on.
  private static let half: UInt64 = 16
  /// Kernels patch their own code, an instruction or two at a time, and may do so in several places.
  private static let mostPatched = 20
  /// Of bytes that are compared to tell the image from another.
  private static let sampleSize = 32

  init?(_ fault: FirstFault, in scene: Scene) {
    guard scene.memory != nil, let instant = fault.instant, let image = scene.image,
      case let pointer = instant.state.instructionAddress, pointer.rawValue >= Self.half,
      let place = image.place(of: pointer.rawValue), place.virtual.rawValue >= Self.half,
      let segment = image.segments.last(where: {
        $0.isExecutable && place.virtual.rawValue &- $0.virtualAddress.rawValue < $0.availableSize
      })
    else { return nil }
    let count = Int(2 * Self.half)
    func bytes(_ address: UInt64, _ count: Int) -> [UInt8] {
      instant.bytes(at: LinearAddress(address), count: count, for: PageAccess(.read, by: .supervisor))
    }
    let expected = image.bytes(atVirtual: LinearAddress(place.virtual.rawValue - Self.half), count: count)
    let found = bytes(pointer.rawValue - Self.half, count)
    guard expected.count == count, found.count == count else { return nil }
    difference = zip(expected, found).count { $0 != $1 }
    guard difference > Self.mostPatched, expected[Int(Self.half)...] != found[Int(Self.half)...] else { return nil }
    // Another image, or this one moved, would differ everywhere.
    let displacement = pointer.rawValue &- place.virtual.rawValue
    let samples = [segment.virtualAddress, LinearAddress(image.entryPoint)]
    let intact = samples.first { sample in
      let own = image.bytes(atVirtual: sample, count: Self.sampleSize)
      return own.count == Self.sampleSize && own.contains { $0 != own[0] }
        && own == bytes(sample.rawValue &+ displacement, Self.sampleSize)
    }
    guard let intact else { return nil }
    self.fault = fault
    intactAddress = LinearAddress(intact.rawValue &+ displacement)
    self.found = found[Int(Self.half)...].prefix(8)
    self.expected = expected[Int(Self.half)...].prefix(8)
  }

  private static func words(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined(separator: " ")
  }

  var summary: String {
    let pointer = (fault.state?.instructionAddress.rawValue ?? 0).hexadecimal
    return
      "The bytes at RIP (\(pointer)), \(Self.words(found)), are not those of the guest's image, \(Self.words(expected)): \(difference) of 32 around it differ, while the image is whole at "
      + "\(intactAddress.rawValue.hexadecimal). Something wrote over the code. What was executed then raised \(fault.exception.name)."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out what writes there: a copy or a fill that runs past its buffer, a stack that grows into the code, a device's DMA, a loader that puts a module or the initrd there; map code read-only (and set CR0.WP)",
        "Then the write itself faults, and shows who made it.")
    ]
  }

  static let manual = """
    RIP is in the code of the guest's image, and what lies there in memory is not what the image has there.

    ## How to recognise it

    The instruction at RIP is nothing that the source has: it touches addresses out of nowhere, or is none at all. Text or data of the guest's own may be
    recognised in the bytes.

    ## Why

    - A copy or a fill that runs past its buffer (MEMCPY with a wrong length, a buffer below the code).
    - A stack that has grown down into the code, where no guard page is.
    - The guest loaded something over itself: a module, an initrd, its page tables, a disk's sectors; or a device did, by DMA to a wrong address.

    Kernels patch single instructions of their own on purpose; that is told apart by how much differs.

    ## The cure

    Map code read-only and set CR0.WP: the write is then what faults. A watchpoint (`watch` in GDB, `inquest run --gdb`) finds who writes.

    SDM vol. 3, 4.6 and 11.6 (self-modifying code).
    """
}
