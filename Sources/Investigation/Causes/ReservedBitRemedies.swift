import QEMU
import X86

extension ReservedBit {
  /// What cures it, the surest first.
  ///
  /// - Parameter death: The death in the trace, which may show that EPT or NPT was on.
  func remedies(for scene: Scene, _ death: RecordedDeath? = nil) -> [Remedy] {
    violations.flatMap { violation -> [Remedy] in
      switch violation.rule {
      case .pageSizeWithoutGiBPages: gibPageRemedies(scene) + kernelRemedies(death)
      case .executeDisableWithoutNXE: executeDisableRemedies(scene)
      case .addressAboveMAXPHYADDR: addressRemedies(scene, violation)
      case .largePageAddress:
        [
          .guest(
            "align the page's address to \(sizeName(pageSize)): clear \(bitNames(violation.bits)) of the "
              + "\(step.structure.entryName)", "The address of a large page must be a multiple of its size.")
        ]
      case .pageSizeInPML4EOrPML5E:
        [
          .guest(
            "clear bit 7 (PS) of the \(step.structure.entryName)",
            "Only a PDPTE and a PDE can map a large page; the bit has no meaning here on any processor.")
        ]
      case .amdBit8:
        [
          .guest(
            "clear bit 8 (G) of the \(step.structure.entryName)",
            "Intel processors ignore it in an entry that maps no page; AMD processors reserve it.")
        ]
      case .highBitsInPAE, .pdpteBitsInPAE, .fourMiBPageAddress:
        [
          .guest(
            "clear \(bitNames(violation.bits)) of the \(step.structure.entryName)",
            "They must be zero in this entry, whatever they mean in 4-level paging.")
        ]
      }
    }
  }

  /// 1 GiB pages: the guest's processor must have them, or the guest must do without.
  private func gibPageRemedies(_ scene: Scene) -> [Remedy] {
    scene.remedies(
      offering: .pdpe1gb, purpose: "1 GiB pages",
      fallback: .guest(
        "ask CPUID 80000001H:EDX[26] before using 1 GiB pages, and map with 2 MiB pages where it is 0",
        "The guest then runs on every processor."))
  }

  /// A newer KVM lets the walk pass where the processor does.
  private func kernelRemedies(_ death: RecordedDeath?) -> [Remedy] {
    guard death?.exit?.exit.usesTwoDimensionalPaging == true else { return [] }
    return [
      Remedy(
        kind: .host, change: "Linux 5.14 or newer on the host",
        reason: "With EPT or NPT on, its KVM goes by the host's processor instead of the guest's CPUID.", available: nil
      )
    ]
  }

  private func executeDisableRemedies(_ scene: Scene) -> [Remedy] {
    let enable = Remedy.guest(
      "set EFER.NXE (MSR C0000080H, bit 11) before using bit 63 of a page-table entry",
      "With it, bit 63 means no-execute; without it, the bit is reserved.")
    let nx = scene.decision(on: .nx)
    guard nx.isOn == false, let cpu = scene.commandLine?.cpu, scene.host.offers?.value.has(.nx) != false else {
      return [enable]
    }
    return [
      enable,
      .option(
        "-cpu", cpu.turningOn(.nx).text,
        "EFER.NXE can be set only on a processor with NX, CPUID 80000001H:EDX[20], \(nx.words).",
        available: scene.host.offers?.value.has(.nx)),
    ]
  }

  private func addressRemedies(_ scene: Scene, _ violation: ReservedBitViolation) -> [Remedy] {
    let width = scene.maximumPhysicalAddressBits.map { ", which is \($0.value) here" } ?? ""
    let clear = Remedy.guest(
      "keep the address in the \(step.structure.entryName) below MAXPHYADDR, CPUID 80000008H:EAX[7:0]\(width)",
      "\(bitNames(violation.bits)) of it lie above.".capitalisedFirst)
    return [clear]
  }
}

extension String {
  /// The text as the beginning of a sentence.
  var capitalisedFirst: String { prefix(1).uppercased() + dropFirst() }
}
