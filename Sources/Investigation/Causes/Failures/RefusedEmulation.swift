import GuestImage
import KVM
import X86

/// `emulation.refused`: KVM gave the guest #UD for an ordinary instruction that its emulator knows.
struct RefusedEmulation: JudgedCause, SingleCause {
  static let id = "emulation.refused"
  static let title = "KVM refused to emulate an ordinary instruction"

  private let refusal: EmulationRefusal

  /// Nil unless the trace's last refusal is of a plain move or string instruction.
  init?(_ scene: Scene) {
    guard let refusal = scene.emulationRefusal, let instruction = refusal.instruction, instruction.isPlainMove else {
      return nil
    }
    self.refusal = refusal
  }

  var summary: String {
    let address =
      refusal.address.map { " to \($0.hexadecimal)\(PCMemory.hole(of: $0).map { ", in \($0)" } ?? "")" } ?? ""
    let nested = refusal.isNested ? " in a nested guest (L2)" : ""
    return
      "`\(refusal.instruction?.text ?? "")` at \(refusal.emulation.rip.hexadecimal)\(nested) is legal, and KVM's emulator has code for it; the access\(address), had to be emulated. KVM gave up all the same and "
      + "injected #UD: the guest sees an invalid opcode for a valid instruction. That is a defect of the host's KVM, not of the guest."
  }

  var remedies: [Remedy] {
    [
      .host(
        "another kernel on the host, older or newer",
        "What the emulator knows, it must execute; a refusal that depends on what it did before is a defect of it.")
    ]
  }

  var evidence: [Evidence] {
    [
      Evidence(
        "KVM's emulator failed at \(refusal.emulation.rip.hexadecimal) and #UD was injected",
        .trace(event: "kvm_inj_exception", time: refusal.time))
    ]
  }

  static let manual = """
    KVM had to emulate an instruction that touches device memory, failed, and injected #UD, although the instruction is an ordinary one (a move, a
    string instruction) that its emulator has code for.

    ## How to recognise it

    `kvm_emulate_insn` twice for the same RIP, the second time ` failed`, then `kvm_inj_exception: #UD`, and bytes that disassemble to a plain
    move. With `kvm_nested_vmexit` before, the guest is nested.

    ## Why

    The emulator's state of an earlier instruction was taken for this one's, an intercept of the nested hypervisor was assumed that is not
    there, or the bytes that KVM fetched are not those of the guest.

    ## The cure

    Another kernel on the host. The guest is not at fault.

    Linux arch/x86/kvm/x86.c: x86_emulate_instruction, handle_emulation_failure, 6.1.
    """
}

/// A failed emulation after which KVM injected #UD.
struct EmulationRefusal {
  var emulation: KVMEmulation
  /// The guest-physical address whose access had to be emulated, where the trace shows it.
  var address: UInt64?
  var isNested: Bool
  var time: UInt64?

  var instruction: Instruction? {
    let mode: ProcessorMode =
      switch emulation.mode {
      case "real": .real
      case "prot16": .protected(bits: 16)
      case "prot32": .protected(bits: 32)
      case "prot64": .long64
      // Old kernels print no mode; an address above 4 GiB is of 64-bit code.
      default: emulation.rip >> 32 == 0 ? .protected(bits: 32) : .long64
      }
    return try? Instruction.decode(emulation.bytes, at: emulation.rip, mode: mode)
  }
}

extension Scene {
  /// The last time that KVM's emulator gave up and the guest was given #UD for it.
  var emulationRefusal: EmulationRefusal? {
    guard
      let injected = trace.lastIndex(where: {
        if case .injectException(.invalidOpcode, _, _) = $0.event { true } else { false }
      })
    else { return nil }
    let thread = trace[injected].threadID
    let before = trace[..<injected].filter { $0.threadID == thread }.suffix(6)
    guard case .emulateInstruction(let emulation)? = before.last?.event, emulation.failed else { return nil }
    var refusal = EmulationRefusal(emulation: emulation, isNested: false, time: trace[injected].time)
    for record in before.reversed() {
      switch record.event {
      case .pageFault(let address, _, _) where refusal.address == nil: refusal.address = address
      case .nestedExit(let exit): refusal.isNested = refusal.isNested || exit.rip == emulation.rip
      case .entry: return refusal
      default: continue
      }
    }
    return refusal
  }

  /// What the end of a trace without a death shows of exceptions that KVM passed on.
  var traceObservations: [Evidence] {
    guard let refusal = emulationRefusal else { return reflectedInvalidOpcode }
    let source = Source.trace(event: "kvm_emulate_insn", time: refusal.time)
    let text = refusal.instruction.map { "`\($0.text)`" } ?? "the instruction"
    var evidence = [
      Evidence(
        "KVM's emulator gave up on \(text) at \(refusal.emulation.rip.hexadecimal), and the guest was given #UD: no death by itself",
        source)
    ]
    if refusal.isNested { evidence.append(Evidence("The exit came from a nested guest (L2)", source)) }
    if let address = refusal.address {
      let place =
        PCMemory.hole(of: address).map { ", in \($0): device memory, so that emulation is what is needed" } ?? ""
      evidence.append(Evidence("The access that was emulated is to \(address.hexadecimal)\(place)", source))
    }
    for record in trace.reversed() {
      guard case .nestedExit(let exit) = record.event, exit.rip == refusal.emulation.rip,
        exit.reasonName == "EPT_VIOLATION",
        let info1 = exit.info1
      else { continue }
      evidence.append(
        Evidence(
          "Exit qualification \(info1.hexadecimal): a \(EPTViolationQualification(rawValue: info1).description)",
          .trace(event: "kvm_nested_vmexit", time: record.time)))
      break
    }
    return evidence
  }

  /// #UD that KVM intercepts, to look whether the instruction is one that it emulates on purpose, and gives back (x86.c: handle_ud, 6.1).
  private var reflectedInvalidOpcode: [Evidence] {
    guard
      let injected = trace.lastIndex(where: {
        if case .injectException(.invalidOpcode, _, _) = $0.event { true } else { false }
      })
    else { return [] }
    for record in trace[..<injected].reversed().prefix(4) {
      guard case .emulateInstruction(let emulation) = record.event, !emulation.failed, !emulation.bytes.isEmpty else {
        continue
      }
      let refusal = EmulationRefusal(emulation: emulation, isNested: false, time: record.time)
      guard let instruction = refusal.instruction else { return [] }
      let source = Source.trace(event: "kvm_emulate_insn", time: record.time)
      let bits = instruction.requirements?.enables.bits.map(\.name) ?? []
      let exit = trace[..<injected].reversed().prefix(4).contains { record in
        if case .exit(let exit) = record.event {
          EventInformation(rawValue: exit.interruptionInfo ?? 0).exception == .invalidOpcode
        } else {
          false
        }
      }
      let asked =
        exit
        ? "The processor raised #UD at \(emulation.rip.hexadecimal) (interruption information: a hardware exception, vector 6), which KVM intercepts. "
        : ""
      return [
        Evidence(
          "\(asked)KVM looked at the instruction, `\(instruction.text)`, and gave the guest its #UD: the instruction is not enabled or not there for the guest"
            + (bits.isEmpty ? "" : " (it needs \(bits.joined(separator: ", ")))")
            + ". Nothing is wrong on the host by that, and it is no death", source)
      ]
    }
    return []
  }
}

extension Instruction {
  /// Whether it is a move or string instruction of the integer unit, which KVM's emulator has known from its beginnings.
  var isPlainMove: Bool {
    encoding == .legacy && isaExtension == "BASE"
      && (category == "STRINGOP" || ["mov", "movzx", "movsx", "movsxd"].contains(mnemonic))
      && !operands.contains { operand in
        switch operand.value {
        case .register(.control), .register(.debug): true
        default: false
        }
      }
  }
}

extension PCMemory {
  /// What is at a guest-physical address that holds no RAM on any PC: the fixed places, and the hole below 4 GiB where PCI devices are.
  static func hole(of address: UInt64) -> String? {
    if let place = place(of: address) { return place }
    return (0xE000_0000..<0x1_0000_0000).contains(address) ? "the hole below 4 GiB where PCI devices are" : nil
  }
}
