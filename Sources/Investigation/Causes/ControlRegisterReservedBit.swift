import X86

/// `cpu.control-register-reserved-bit`: a system register was to take a value that it cannot have.
struct ControlRegisterReservedBit: CauseOfDeath, SingleCause {
  static let id = "cpu.control-register-reserved-bit"
  static let title = "A control register cannot take the value"

  private let fault: FirstFault
  private let scene: Scene
  private let write: RefusedRegisterWrite

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .registerWrite(let write) = fault.exception.reason else { return nil }
    self.fault = fault
    self.scene = scene
    self.write = write
  }

  private var feature: ProcessorFeature? {
    if case .missingFeature(let features) = write.rule { features.first } else { nil }
  }

  var summary: String {
    let beginning = "\(fault.instructionName) writes \(write.value.hexadecimal) to \(write.register)"
    let bits = bitNames(write.bits)
    switch write.rule {
    case .missingFeature:
      guard let feature else { return beginning }
      return
        "\(beginning). \(bits.capitalisedFirst) is reserved on a processor without \(feature.manualName), \(feature.bit) "
        + "(\(feature.name)), as this guest's is, \(scene.decision(on: feature).words): #GP."
    case .reserved: return "\(beginning), and \(bits) must be zero on every processor: #GP."
    case .combination(let rule): return "\(beginning), and \(rule): #GP."
    }
  }

  var remedies: [Remedy] {
    let name = "\(bitNames(write.bits)) of \(write.register)"
    switch write.rule {
    case .missingFeature:
      guard let feature else { return [] }
      return scene.remedies(
        offering: feature, purpose: feature.manualName,
        fallback: .guest(
          "set \(name) only where CPUID has \(feature.manualName), \(feature.bit)",
          "The guest then runs on every processor."))
    case .reserved:
      return [.guest("leave \(name) clear", "They mean nothing on any processor, and writing them is refused.")]
    case .combination(let rule):
      return [.guest("change what contradicts \(name) first", "\(rule.capitalisedFirst).")]
    }
  }

  var evidence: [Evidence] { feature.map { [scene.evidence(of: $0)] } ?? [] }
}

extension ControlRegisterReservedBit {
  static let manual = """
    MOV to CR0, CR3 or CR4, WRMSR to EFER, or XSETBV was to write a value that the register cannot take: #GP with error code 0.

    ## Why a value is refused

    - **A bit means something only with a feature that this processor lacks.** CR4: UMIP, LA57, VMXE, FSGSBASE, PCIDE, OSXSAVE,
      SMEP, SMAP, PKE, CET. EFER: NXE (NX), SVME (SVM), LME (LM). XCR0: AVX, MPX, AVX-512, PKRU, AMX.
    - **A bit means nothing anywhere**: the upper half of CR0, bit 15 of CR4, address bits of CR3 above MAXPHYADDR.
    - **Bits contradict each other or the mode**: PG without PE; NW without CD; PG with EFER.LME and without CR4.PAE; PG cleared in
      64-bit mode; PAE cleared or LA57 changed while long mode is active; PCIDE outside long mode or with bits in CR3[11:0]; LME
      changed while paging is on; AVX state without SSE state.

    SDM vol. 2, MOV to control registers, WRMSR, XSETBV; vol. 3, 2.5, 2.6 and 9.8.5; Linux arch/x86/kvm/x86.c: kvm_is_valid_cr0,
    kvm_is_valid_cr4, set_efer, __kvm_set_xcr (6.19).

    ## Where

    KVM checks by the guest's CPUID and its own abilities; a processor by its own. **QEMU's TCG** 7.2 checks XSETBV; it drops
    reserved bits of EFER, ignores what contradicts in CR0, and makes a write of CR3 or CR4 with reserved bits again and again, for
    ever. kvm_pvm does not check CR4.UMIP and CR4.OSXSAVE (measured).

    ## The cure

    The CPU model with the feature, if the accelerator can offer it; or a guest that sets the bit only where CPUID has the feature.

    ## Try it

    The guests `nx-not-offered` (KVM, `-cpu qemu64,-nx`), `avx-not-offered` (`-cpu SandyBridge,-avx`) and `la57-in-long-mode` in
    `Guests/`.
    """
}
