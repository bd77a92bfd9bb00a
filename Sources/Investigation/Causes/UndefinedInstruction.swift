import GuestImage
import X86

/// `instruction.undefined`: the bytes at RIP are no instruction.
struct UndefinedInstruction: CauseOfDeath, SingleCause {
  static let id = "instruction.undefined"
  static let title = "The bytes at RIP are no instruction"

  private let fault: FirstFault
  /// Nil for an instruction that there is, in other modes.
  private let error: DecodingError?
  private let bytes: [UInt8]
  private let isInCode: Bool?

  init?(_ fault: FirstFault, in scene: Scene) {
    switch fault.exception.reason {
    case .noInstruction(let error): self.error = error
    case .notInThisMode: error = nil
    default: return nil
    }
    self.fault = fault
    let pointer = fault.state?.instructionAddress
    let fetched =
      fault.instant.flatMap { instant in
        pointer.map { instant.bytes(at: $0, count: 8, for: PageAccess(.fetch, by: instant.privilege)) }
      } ?? []
    bytes = fetched.isEmpty ? Array((pointer.flatMap { scene.codeAsListed(at: $0.rawValue) } ?? []).prefix(8)) : fetched
    isInCode = pointer.flatMap { pointer in scene.image.map { $0.isCode(pointer.rawValue) } }
  }

  var summary: String {
    let shown = bytes.map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined(separator: " ")
    let place =
      firmwareWords + wrongModeWords
      + (isInCode == false
        ? " RIP is outside the code of the guest's image: unless code was copied there, something jumped into data."
        : "")
    guard let error else {
      let mode = fault.state.map { " (\($0.mode.codeName))" } ?? ""
      let condition = fault.exception.condition.map { ", if \($0)" } ?? ""
      return
        "\(fault.instructionName) is no instruction of the mode that the processor is in\(mode): \(fault.exception.name)\(condition).\(place)"
    }
    return
      "The bytes at RIP (\(shown)) are no instruction in this mode (\(error)): \(fault.exception.vector.name).\(place)"
  }

  /// Long mode with a 32-bit code segment: where a kernel has not yet made the far jump to 64-bit code.
  private var wrongModeWords: String {
    guard let state = fault.state, case .compatibility = state.mode, state.currentPrivilegeLevel == 0 else { return "" }
    return
      " Long mode is active, and CS is not of 64 bits: 64-bit code is decoded wrongly until a far jump has loaded CS with a descriptor whose L bit is set."
  }

  private var firmwareWords: String {
    guard let instant = fault.instant, let state = fault.state, state.mode != .real, state.mode != .virtual8086,
      isInCode != true,
      case .physical(let place) = instant.translate(state.instructionAddress, for: PageAccess(.read, by: .supervisor)),
      PCMemory.bios.contains(place.rawValue)
    else { return "" }
    return " RIP is in the place of the BIOS (E0000 to FFFFF), whose code is of 16 and 32 bits."
  }

  /// A later processor may know an instruction of these bytes.
  var isDecided: Bool { error != .undefined && fault.exception.isCertain || isInCode == false }

  var remedies: [Remedy] {
    let jump = Remedy.guest(
      "make a far jump to a 64-bit code segment right after CR0.PG is set",
      "CS keeps its 32 bits until it is loaded.")
    return (wrongModeWords.isEmpty ? [] : [jump]) + [
      .guest(
        "find out how RIP came there: a jump through a bad pointer, a return address that was overwritten, code decoded in the wrong "
          + "mode, or code that was overwritten", "Compilers do not emit such bytes.")
    ]
  }
}

extension GuestImage {
  /// Whether the address lies in an executable segment of the image, at its linear or its physical address.
  fileprivate func isCode(_ address: UInt64) -> Bool {
    segments.contains { segment in
      segment.isExecutable
        && (address &- segment.virtualAddress.rawValue < segment.memorySize
          || address &- segment.physicalAddress.rawValue < segment.memorySize)
    }
  }
}

extension UndefinedInstruction {
  static let manual = """
    The bytes at RIP are no instruction of the mode that the processor is in: #UD, or #GP for one of more than 15 bytes.

    ## Why

    - RIP is in data: a bad function pointer, a return address that was overwritten, a jump table.
    - The code is decoded in the wrong mode: 64-bit code in a 32-bit code segment, or the reverse (CS.L and CS.D).
    - The code was overwritten, or never loaded.
    - It is an instruction newer than Inquest's decoder: then the verdict says that it hangs on that.

    Where a log has #UD and not the bytes, the same exception may come of an instruction that the processor lacks (cpu.missing-feature), that is not
    enabled (cpu.feature-not-enabled), or that is there to raise it (instruction.trap). Then the verdict says that only.

    ## The cure

    Find out how RIP came there; the stack's return addresses and the trace's last exits help.

    SDM vol. 2, 2.3.11 and appendix A; vol. 3, 6.15.
    """
}
