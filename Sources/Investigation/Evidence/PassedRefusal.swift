public import GuestImage
public import QEMU
public import X86

/// An instruction that TCG executes and the processor of the first run refuses, so that the same guest dies of it under KVM and goes on under TCG.
///
/// TCG 7.2 lets reserved bits of EFER, MSRs that it does not know and long mode without PAE pass, and page tables that only some processors refuse
/// (target/i386/tcg/sysemu/misc_helper.c: helper_wrmsr, helper_rdmsr, helper_write_crN; excp_helper.c: mmu_translate). All of that shows where a
/// system register is accessed, or right behind it.
public struct PassedRefusal {
  /// Whether the processor refuses it whatever else is so; otherwise it may, where an MSR is not there.
  public let isCertain: Bool

  /// Nil where the first run cannot have died there.
  ///
  /// A run cannot have come past what is certainly refused, so that nothing need show how far it came; else both must have come as far.
  ///
  /// - Parameters:
  ///   - processor: The processor in the second run, before an instruction that it is going to execute.
  ///   - scene: What is known of the first run, with its memory.
  ///   - second: The same with the memory of the second run at that moment, and with what its processor has. A guest that asks CPUID may go
  ///     another way where there is more, so that it must be refused by what either has.
  public init?(at processor: ObservedProcessor, in scene: Scene, second: Scene) {
    guard processor.knowsTables, let memory = second.memory else { return nil }
    var first = scene
    first.memory = memory
    let next = first.reenact(processor).0
    guard next.doubt == nil, let exception = next.exceptions.last, exception.isCertain || next.exceptions.count == 1,
      !first.surelyHasMSR(exception.reason), second.reenact(processor).0.exceptions == next.exceptions,
      Delivery(of: exception.vector, at: first.instant(of: processor)).end == .tripleFault
    else { return nil }
    let agreement = SecondRunAgreement(scene, with: processor, in: memory)
    guard (exception.isCertain ? agreement.contradiction : agreement.disagreement) == nil else { return nil }
    isCertain = exception.isCertain
  }

  /// Where to stop a second run whose code QEMU has listed: at each access of a system register, and behind it, where its new value holds. Firmware,
  /// as far as it is known as such, has none: it lives under KVM.
  ///
  /// - Parameters:
  ///   - log: With `-d in_asm`, from the machine's start.
  ///   - image: The guest's own, if it is known.
  public static func places(in log: [QEMULogEntry], of image: GuestImage?) -> [LinearAddress] {
    let lines: [CodeListing.Line] = log.flatMap { entry -> [CodeListing.Line] in
      if case .codeListing(let listing) = entry.message { listing.lines } else { [] }
    }
    // Firmware of a PC loads a boot sector to 7C00H and jumps to it.
    let start = image == nil ? lines.firstIndex(where: { $0.address == 0x7C00 }) ?? 0 : 0
    var known: Set<UInt64> = []
    var places: [LinearAddress] = []
    for line in lines[start...] where image.map({ $0.place(of: line.address) != nil }) ?? true {
      guard line.mayAccessSystemRegister else { continue }
      for address in [line.address, line.address &+ UInt64(line.bytes.count)] where known.insert(address).inserted {
        places.append(LinearAddress(address))
      }
    }
    return places
  }
}

extension Scene {
  /// Whether the MSR that an exception would be raised for is one that KVM has for every guest with a feature of this one's; x2APIC's are there in
  /// its mode only.
  fileprivate func surelyHasMSR(_ reason: RaisedException.Reason) -> Bool {
    guard case .unknownMSR(let index, _) = reason else { return false }
    if Self.memoryTypeRanges.contains(index) { return true }
    guard !(0x800...0x8FF).contains(index), let known = KnownMSR.named[index] else { return false }
    return known.features.contains { name in
      ProcessorFeature.named(name).contains { decision(on: $0).isOn == true }
    }
  }

  /// The MTRRs, which KVM has for every guest (Linux arch/x86/kvm/mtrr.c: msr_mtrr_valid, 6.1).
  private static let memoryTypeRanges: ClosedRange<UInt32> = 0x200...0x26F
}

extension CodeListing.Line {
  /// Whether the instruction, in one of the processor's modes, accesses a control, debug or model-specific register: which mode it was listed in is
  /// not known, and a place that is none is never come to.
  fileprivate var mayAccessSystemRegister: Bool {
    let modes: [ProcessorMode] = [.long64, .protected(bits: 32), .protected(bits: 16)]
    return modes.contains { mode in
      guard let instruction = try? Instruction.decode(bytes, at: address, mode: mode),
        instruction.length == bytes.count
      else { return false }
      return instruction.accessesSystemRegister
    }
  }
}

extension Instruction {
  /// MOV to a control or debug register, LMSW, RDMSR, WRMSR and XSETBV: what ``InstructionChecks`` checks the value of.
  fileprivate var accessesSystemRegister: Bool {
    switch mnemonic {
    case "lmsw", "rdmsr", "wrmsr", "xsetbv": true
    case "mov":
      operands.contains { operand in
        guard operand.isWrite, case .register(let register) = operand.value else { return false }
        switch register {
        case .control, .debug: return true
        default: return false
        }
      }
    default: false
    }
  }
}
