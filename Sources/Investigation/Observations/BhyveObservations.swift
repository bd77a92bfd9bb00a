import GuestImage
import KVM
import QEMU
import X86

extension Scene {
  /// What bhyve's words on an exit that it cannot handle prove.
  var bhyveObservations: [Evidence] {
    log.flatMap { entry -> [Evidence] in
      guard case .bhyveExit(let exit) = entry.value else { return [] }
      return exit.facts.map { Evidence($0, entry.source) }
    }
  }
}

extension BhyveExit {
  /// That bhyve gave up, in one sentence.
  var ending: String {
    bytes.isEmpty && cpu != nil
      ? "bhyve gave up on the guest: an exit that it does not handle."
      : "bhyve gave up on the guest: it could not emulate an instruction."
  }

  fileprivate var facts: [String] {
    var facts = [place, intel, amd, emulated].compactMap(\.self)
    facts.append(
      "bhyve shows no registers but RIP; the same image under QEMU would tell more: inquest run -- qemu-system-x86_64 …"
    )
    return facts
  }

  private var place: String? {
    guard let cpu, let instructionPointer else { return nil }
    return "vCPU \(cpu) left the guest at RIP \(instructionPointer.hexadecimal)"
  }

  private var intel: String? {
    guard let exitReason else { return nil }
    let isNotEntered = [33, 34, 41].contains(exitReason & 0xFFFF)
    let words = VMExit(reason: exitReason).words
    let details = qualification.flatMap { $0 == 0 ? nil : ", qualification \($0.hexadecimal)" } ?? ""
    let error = instructionError.flatMap { $0 == 0 ? nil : ", VM-instruction error \($0)" } ?? ""
    return isNotEntered
      ? "Intel's \(words)\(details)\(error): the processor refused to enter the guest, whose state or MSRs it found invalid (SDM vol. 3, 26.8)"
      : "Intel's \(words)\(details)\(error)"
  }

  private var amd: String? {
    guard let exitCode else { return nil }
    let details = [("EXITINFO1", exitInfo1), ("EXITINFO2", exitInfo2)].compactMap { name, value in
      value.flatMap { $0 == 0 ? nil : ", \(name) \($0.hexadecimal)" }
    }.joined()
    guard exitCode & 0xFFFF_FFFF != 0xFFFF_FFFF else {
      return
        "AMD's exit code -1, VMEXIT_INVALID: VMRUN found the guest's state or the controls in the VMCB illegal (APM vol. 2, 15.5.1)\(details)"
    }
    let code = UInt32(truncatingIfNeeded: exitCode)
    return
      "AMD's exit code \(code.hexadecimal), \(SVMExitCode.name(of: code) ?? "which Linux 6.19 has no name for")\(details)"
  }

  private var emulated: String? {
    guard cpu == nil else { return nil }
    let place = instructionPointer.map { " at \($0.hexadecimal)" } ?? ""
    guard !bytes.isEmpty else { return "bhyve could not emulate the instruction\(place), of which it has no bytes" }
    let shown = bytes.map(\.hexadecimalByte).joined(separator: " ")
    guard let instruction = try? Instruction.decode(bytes, at: instructionPointer ?? 0, mode: .long64) else {
      return "bhyve could not emulate the instruction\(place): \(shown) is none in 64-bit code"
    }
    return
      "bhyve could not emulate the instruction\(place): \(shown), in 64-bit code `\(instruction.text)`. It emulates what touches device memory, and knows few instructions for it"
  }
}
