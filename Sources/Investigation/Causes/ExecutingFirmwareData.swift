import GuestImage
import X86

/// `execution.firmware-data`: what is executed is real mode's vector table or the BIOS's data, at the beginning of memory.
///
/// Where a kernel maps the first page, a call through a null pointer finds something to execute there.
struct ExecutingFirmwareData: CauseOfDeath, SingleCause {
  static let id = "execution.firmware-data"
  static let title = "Real mode's vectors are executed"

  private let fault: FirstFault
  private let pointer: LinearAddress
  private let place: PhysicalAddress
  /// Where the stack leads to no memory.
  private let stack: UnavailableMemory?
  /// Whether the vectors were seen there.
  let isDecided: Bool

  /// 0 to 3FFH are real mode's vectors, up to 4FFH follows the BIOS's data area.
  private static let end: UInt64 = 0x500
  /// Firmware fills most of the first 32 vectors with addresses in its own segment.
  private static let leastVectors = 16
  private static let firmwareSegment: UInt64 = 0xF000

  init?(_ fault: FirstFault, in scene: Scene) {
    if scene.memory == nil {
      // Where memory is not at hand, the address alone speaks.
      guard let state = fault.state, state.mode != .real, !fault.isOfFetch, StrayPlace(state, in: scene) != nil,
        state.instructionAddress.rawValue < Self.end
      else { return nil }
      (self.fault, pointer, stack, isDecided) = (fault, state.instructionAddress, nil, false)
      place = PhysicalAddress(pointer.rawValue)
      return
    }
    guard let instant = fault.instant, instant.state.mode != .real,
      instant.state.mode != .virtual8086, !fault.isOfFetch,
      case let pointer = instant.state.instructionAddress,
      case .physical(let place) = instant.translate(pointer, for: PageAccess(.read, by: .supervisor)),
      place.rawValue < Self.end, scene.image?.place(of: place) == nil, Self.hasVectors(instant.memory)
    else { return nil }
    (self.fault, self.pointer, self.place, isDecided) = (fault, pointer, place, true)
    stack = instant.missingStack
  }

  /// Whether the vectors still are as firmware left them, so that nobody has put code of his own there.
  static func hasVectors(_ memory: any PhysicalMemory) -> Bool {
    guard let bytes = try? memory.bytes(at: PhysicalAddress(0), count: 128) else { return false }
    let segments = (0..<32).map { UInt64(littleEndian: bytes[(4 * $0 + 2)..<(4 * $0 + 4)]) }
    return segments.count { $0 == firmwareSegment } >= leastVectors
  }

  var summary: String {
    let what = place.rawValue < 0x400 ? "among real mode's interrupt vectors (0 to 0x3ff)" : "in the BIOS's data area"
    let how =
      pointer.rawValue < 16
      ? " A call or jump through a null pointer, or a return to 0, leads there."
      : " A small number was taken for an address, or the processor ran on from 0, through what is no code."
    let lost =
      stack.map {
        " RSP leads to physical \($0.address.rawValue.hexadecimal), where there is no memory: what is pushed there is lost, so that a return finds no address."
      } ?? ""
    return
      "RIP is \(pointer.rawValue.hexadecimal), \(what), which firmware left and which is no code: what happens to be there then raises \(fault.exception.name).\(how)\(lost)"
  }

  var remedies: [Remedy] {
    [
      .guest(
        stack == nil
          ? "find out what led there: a function pointer that was never set, an address that was not relocated, a return address that was overwritten"
          : "point RSP at the top of memory that is there",
        "With page 0 unmapped the call itself faults, and CR2 says so.")
    ]
  }

  static let manual = """
    The processor executes the beginning of memory, where real mode's interrupt vectors lie and, from 400H on, the BIOS's data area. In protected and
    64-bit mode these bytes are no code; they are executed all the same until one of them faults.

    ## How to recognise it

    RIP is a small number, below 500H. `Code=` shows `53 ff 00 f0` again and again: addresses in the segment F000H.

    ## Why

    - A call through a null pointer, in a kernel that maps all memory to itself, page 0 too: the call succeeds.
    - RET with a zero on top of the stack: a stack that was cleared, or that lies where there is no memory.
    - An offset taken for an address: code linked at 0 that was loaded elsewhere and not relocated.

    ## The cure

    Find the call: its return address is on top of the stack. Leave page 0 unmapped, so that the next one faults at once.

    SDM vol. 3, 21.1.4 (interrupt vectors of real mode).
    """
}

extension Instant {
  /// What RSP leads to where that is known to be no memory.
  var missingStack: UnavailableMemory? {
    let top = LinearAddress(state.stackAddress)
    guard case .physical(let physical) = translate(top, for: PageAccess(.read, by: .supervisor)) else { return nil }
    do throws(UnavailableMemory) {
      _ = try memory.bytes(at: physical, count: 1)
      return nil
    } catch {
      return error.reason == .notCaptured ? nil : error
    }
  }
}
